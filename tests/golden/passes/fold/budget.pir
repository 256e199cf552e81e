; pipeline: fold{max_elements=24}
; The sums take 12 and 3 elements. 9 are left: too few for the first product, which stays, and just enough for the second.
graph @budget () {
  %1 = constant {value = [1]} : f32[4]
  %2 = add %1, %1 : f32[4]
  %3 = constant {value = [1]} : f32[]
  %4 = add %3, %3 : f32[]
  %5 = mul %2, %2 : f32[4]
  %6 = mul %1, %4 : f32[4]
  return "a" = %2, "b" = %4, "c" = %5, "d" = %6
}

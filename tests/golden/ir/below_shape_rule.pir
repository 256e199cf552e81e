graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[8,5]
  %3 = linear %1, %2 : f32[T,8]
  return "y" = %1
}

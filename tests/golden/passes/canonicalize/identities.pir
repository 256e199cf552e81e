; x + 0, x - 0 and x * 1 are x, also with the neutral number first, repeated or as a constant of more dimensions.
; A half, a zero taken from, and numbers that are no single value stay.
graph @identities (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = input {name = "v"} : f32[4]
  %3 = constant {value = [0]} : f32[]
  %4 = constant {value = [1]} : f32[]
  %5 = constant {value = [0]} : f32[4]
  %6 = constant {value = [0.5]} : f32[]
  %7 = constant {value = [1, 1, 1, 1]} : f32[4]
  %8 = add %1, %3 : f32[T,4]
  %9 = sub %8, %3 : f32[T,4]
  %10 = mul %9, %4 : f32[T,4]
  %11 = add %10, %5 : f32[T,4]
  %12 = tanh %11 : f32[T,4]
  %13 = add %5, %2 : f32[4]
  %14 = sub %5, %2 : f32[4]
  %15 = mul %12, %6 : f32[T,4]
  %16 = mul %15, %7 : f32[T,4]
  return "y" = %16, "v" = %13, "w" = %14
}

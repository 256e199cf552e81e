graph @repeated (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = relu %1                                                           : f32[T,4]
  %3 = cast %2                                                           : bf16[T,4]
  %4 = cast %3                                                           : f32[T,4]
  %5 = tanh %4                                                           : f32[T,4]
  %6 = tanh %5                                                           : f32[T,4]
  return "y" = %6
}

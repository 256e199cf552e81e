graph @marks (M <= 8, T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "i"}                                                : i32[M]
  %3 = gather_rows %1, %2                                                : f32[M,4]
  %4 = tanh %3                                                           : f32[M,4]
  %5 = relu %4                                                           : f32[M,4]
  %6 = gather_rows %1, %2                                                : f32[M,4]
  %7 = gelu %6                                                           : f32[M,4]
  return "a" = %5,
         "b" = %7
}

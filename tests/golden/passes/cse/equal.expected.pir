graph @equal (T <= 64) {
  scope "first"
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "w"}                                                : f32[4,4]
  %3 = linear %1, %2                                                     : f32[T,4]
  %4 = gelu %3                                                           : f32[T,4]
  scope "second"
  %5 = gelu %3 {form = "tanh"}                                           : f32[T,4]
  %6 = add %4, %5                                                        : f32[T,4]
  %7 = sub %4, %5                                                        : f32[T,4]
  %8 = sub %5, %4                                                        : f32[T,4]
  %9 = cast %6                                                           : f64[T,4]
  %10 = cast %6                                                          : bf16[T,4]
  return "a" = %6,
         "b" = %6,
         "c" = %7,
         "d" = %8,
         "e" = %9,
         "f" = %9,
         "g" = %10
}

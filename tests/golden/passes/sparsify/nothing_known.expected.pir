graph @nothing_known (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "w"}                                                : f32[4,4]
  %3 = linear %1, %2 {variant = "linear panel=2"}                        : f32[T,4]
  %4 = gelu %3                                                           : f32[T,4]
  %5 = pattern {name = "v"}                                              : pattern[4,4]
  %6 = state {name = "v"}                                                : f32[nnz(%5)]
  %7 = linear %4, %6, _, %5                                              : f32[T,4]
  return "y" = %7
}

graph @encoder (B <= 64, T <= 32768) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = input {name = "offsets"}                                          : i32[B+1]
  %3 = pattern {name = "w"}                                              : pattern[4,8]
  %4 = state {name = "w"}                                                : f32[nnz(%3)]
  %5 = linear %1, %4, _, %3 {slot = [3]}                                 : f32[T,4]
  %6:2 = attention %1, %1, %1, %2 {heads = 2, scale = 0.5, slot = [-1, 0]} : f32[T,8], f32[T,2]
  %7 = state {name = "gamma"}                                            : f32[8]
  %8 = state {name = "beta"}                                             : f32[8]
  %9 = add %1, %6 {group = 4}                                            : f32[T,8]
  %10:3 = layer_norm %9, %7, %8 {eps = 1e-12, group = 4}                 : f32[T,8], f32[T], f32[T]
  return "y" = %10,
         "mean" = %10#1,
         "rstd" = %10#2,
         "scores" = %6#1,
         "w" = %4
}

graph @again (T <= 32768) {
  %1 = pattern {name = "w"}                                              : pattern[4,8]
  %2 = state {name = "w"}                                                : f32[nnz(%1)]
  return
}

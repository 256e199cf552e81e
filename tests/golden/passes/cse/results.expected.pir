graph @results (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = pattern {name = "w"}                                              : pattern[4,4]
  %3 = state {name = "w"}                                                : f32[nnz(%2)]
  %4 = linear %1, %3, _, %2                                              : f32[T,4]
  %5 = state {name = "g"}                                                : f32[4]
  %6:3 = layer_norm %4, %5, %5 {eps = 0.5}                               : f32[T,4], f32[T], f32[T]
  %7:3 = layer_norm %4, %5, %5 {eps = 0.25}                              : f32[T,4], f32[T], f32[T]
  %8 = tanh %6#2                                                         : f32[T]
  return "a" = %6,
         "b" = %6#1,
         "c" = %7#2,
         "d" = %8,
         "e" = %8
}

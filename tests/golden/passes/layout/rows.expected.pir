graph @rows (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = pattern {name = "w"}                                              : pattern[4,4]
  %3 = state {name = "w"}                                                : f32[nnz(%2)]
  %4 = linear %1, %3, _, %2                                              : f32[T,4]
  %5 = relu %4                                                           : f32[T,4]
  %6 = cast %5                                                           : f64[T,4]
  %7 = state {name = "d"}                                                : f64[4,4]
  %8 = linear %6, %7                                                     : f64[T,4]
  %9 = slice %5 {begin = 0, end = 2}                                     : f32[T,2]
  %10 = input {name = "ids"}                                             : i64[T]
  %11 = state {name = "table"}                                           : f32[9,4]
  %12 = embedding %11, %10                                               : f32[T,4]
  %13 = add %12, %5                                                      : f32[T,4]
  %14 = reshape %13                                                      : f32[4*T]
  return "a" = %8,
         "b" = %9,
         "c" = %14
}

graph @rows (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = pattern {name = "w"}                                              : pattern[4,4]
  %3 = state {name = "w"}                                                : f32[nnz(%2)]
  %4 = relayout %1                                                       : f32[T,4] tiles<32>
  %5 = linear %4, %3, _, %2                                              : f32[T,4] tiles<32>
  %6 = relu %5                                                           : f32[T,4] tiles<32>
  %7 = relayout %6                                                       : f32[T,4]
  %8 = cast %7                                                           : f64[T,4]
  %9 = state {name = "d"}                                                : f64[4,4]
  %10 = linear %8, %9                                                    : f64[T,4]
  %11 = slice %7 {begin = 0, end = 2}                                    : f32[T,2]
  %12 = input {name = "ids"}                                             : i64[T]
  %13 = state {name = "table"}                                           : f32[9,4]
  %14 = embedding %13, %12                                               : f32[T,4]
  %15 = relayout %14                                                     : f32[T,4] tiles<32>
  %16 = add %15, %6                                                      : f32[T,4] tiles<32>
  %17 = relayout %16                                                     : f32[T,4]
  %18 = reshape %17                                                      : f32[4*T]
  return "a" = %10,
         "b" = %11,
         "c" = %18
}

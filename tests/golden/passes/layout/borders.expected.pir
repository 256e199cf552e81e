graph @borders (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "w"}                                                : f32[4,4]
  %3 = relayout %1                                                       : f32[T,4] tiles<32>
  %4 = linear %3, %2                                                     : f32[T,4] tiles<32>
  %5 = relu %1                                                           : f32[T,4]
  %6 = relayout %5                                                       : f32[T,4] tiles<32>
  %7 = sub %6, %4                                                        : f32[T,4] tiles<32>
  %8 = relayout %7                                                       : f32[T,4]
  %9 = slice %8 {begin = 0, end = 2}                                     : f32[T,2]
  %10 = slice %8 {begin = 2, end = 4}                                    : f32[T,2]
  %11 = relayout %4                                                      : f32[T,4]
  %12 = cast %11                                                         : bf16[T,4]
  %13 = reshape %11                                                      : f32[4*T]
  %14 = mul %9, %10                                                      : f32[T,2]
  return "a" = %14,
         "b" = %12,
         "c" = %13,
         "d" = %8
}

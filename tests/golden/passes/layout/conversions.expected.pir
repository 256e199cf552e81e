graph @conversions (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4] tiles<32>
  %2 = tanh %1                                                           : f32[T,4] tiles<32>
  %3 = relayout %2                                                       : f32[T,4]
  %4 = cast %3                                                           : f64[T,4]
  %5 = relu %4                                                           : f64[T,4]
  %6 = relayout %1                                                       : f32[T,4]
  %7 = reshape %6                                                        : f32[T,4]
  %8 = relu %7                                                           : f32[T,4]
  %9 = slice %6 {begin = 0, end = 1}                                     : f32[T,1]
  return "a" = %5,
         "b" = %8,
         "c" = %9,
         "x" = %6
}

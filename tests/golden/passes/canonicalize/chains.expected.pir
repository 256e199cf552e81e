graph @chains (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,2,3]
  %2 = reshape %1                                                        : f32[T,6]
  %3 = reshape %1                                                        : f32[6*T]
  %4 = reshape %1                                                        : f32[T,3,2]
  %5 = relayout %2                                                       : f32[T,6] tiles<16>
  %6 = relayout %2                                                       : f32[T,6] tiles<32>
  %7 = tanh %6                                                           : f32[T,6] tiles<32>
  %8 = relayout %7                                                       : f32[T,6]
  return "same" = %1,
         "flat" = %3,
         "rows" = %2,
         "y" = %8
}

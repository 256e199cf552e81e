graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = state {name = "w"}                                                : f32[4,8]
  %3 = state {name = "r"}                                                : f32[2]
  %4 = state {name = "s"}                                                : f32[2]
  %5 = observe_range %1, %3                                              : f32[2]
  %6 = fake_quantize %1, %5                                              : f32[T,8]
  %7 = observe_range %2, %4                                              : f32[2]
  %8 = fake_quantize %2, %7 {scheme = "symmetric"}                       : f32[4,8]
  %9 = relayout %6                                                       : f32[T,8] tiles<32>
  %10 = linear %9, %8                                                    : f32[T,4] tiles<32>
  %11 = observe_range %10, %3                                            : f32[2]
  %12 = fake_quantize %10, %11                                           : f32[T,4] tiles<32>
  %13 = fake_quantize_gradient %12, %10, %11                             : f32[T,4] tiles<32>
  %14 = relayout %12                                                     : f32[T,4]
  %15 = relayout %13                                                     : f32[T,4]
  return "y" = %14,
         "dy" = %15,
         "r" = %11,
         "s" = %7
}

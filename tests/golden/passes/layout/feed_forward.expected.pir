graph @feed_forward (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  scope "up"
  %2 = state {name = "up.weight"}                                        : f32[8,4]
  %3 = state {name = "up.bias"}                                          : f32[8]
  %4 = relayout %1                                                       : f32[T,4] tiles<32>
  %5 = linear %4, %2, %3                                                 : f32[T,8] tiles<32>
  %6 = gelu %5                                                           : f32[T,8] tiles<32>
  scope "down"
  %7 = state {name = "down.weight"}                                      : f32[4,8]
  %8 = linear %6, %7                                                     : f32[T,4] tiles<32>
  scope "norm"
  %9 = state {name = "gamma"}                                            : f32[4]
  %10 = state {name = "beta"}                                            : f32[4]
  %11 = add %8, %4                                                       : f32[T,4] tiles<32>
  %12:3 = layer_norm %11, %9, %10 {eps = 1e-12}                          : f32[T,4] tiles<32>, f32[T], f32[T]
  scope "elsewhere"
  %13 = tanh %9                                                          : f32[4]
  scope "norm"
  %14 = relayout %12                                                     : f32[T,4]
  return "y" = %14,
         "mean" = %12#1,
         "again" = %14,
         "z" = %13
}

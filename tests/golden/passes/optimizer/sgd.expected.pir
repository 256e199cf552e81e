graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = input {name = "dy"}                                               : f32[T,4]
  %3 = pattern {name = "w"}                                              : pattern[4,8]
  %4 = state {name = "w"}                                                : f32[nnz(%3)]
  %5 = state {name = "b"}                                                : f32[4]
  %6:2 = linear_weight_gradient %1, %2, %3                               : f32[nnz(%3)], f32[4]
  scope "optimizer"
  %7 = input {name = "learning_rate"}                                    : f32[]
  %8 = sum_of_squares %6                                                 : f32[]
  %9 = sum_of_squares %6#1                                               : f32[]
  %10 = add %8, %9                                                       : f32[]
  %11 = sqrt %10                                                         : f32[]
  %12 = clip_factor %11 {max_norm = 3.4028234663852886e+38}              : f32[]
  %13 = state {name = "w.momentum_buffer"}                               : f32[nnz(%3)]
  %14:2 = sgd %4, %6, %13, %7, %12 {momentum = 0.9}                      : f32[nnz(%3)], f32[nnz(%3)]
  %15 = state {name = "b.momentum_buffer"}                               : f32[4]
  %16:2 = sgd %5, %6#1, %15, %7, %12 {momentum = 0.9}                    : f32[4], f32[4]
  return "grad_norm" = %11,
         "w" = %14,
         "w.momentum_buffer" = %14#1,
         "b" = %16,
         "b.momentum_buffer" = %16#1
}

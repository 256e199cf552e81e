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
  %12 = clip_factor %11 {max_norm = 1}                                   : f32[]
  %13 = input {name = "step"}                                            : i64[]
  %14 = state {name = "w.exp_avg"}                                       : f32[nnz(%3)]
  %15 = state {name = "w.exp_avg_sq"}                                    : f32[nnz(%3)]
  %16:3 = adamw %4, %6, %14, %15, %7, %12, %13 {beta1 = 0.8, beta2 = 0.99, eps = 1e-06, weight_decay = 0.01} : f32[nnz(%3)], f32[nnz(%3)], f32[nnz(%3)]
  %17 = state {name = "b.exp_avg"}                                       : f32[4]
  %18 = state {name = "b.exp_avg_sq"}                                    : f32[4]
  %19:3 = adamw %5, %6#1, %17, %18, %7, %12, %13 {beta1 = 0.8, beta2 = 0.99, eps = 1e-06} : f32[4], f32[4], f32[4]
  return "grad_norm" = %11,
         "w" = %16,
         "w.exp_avg" = %16#1,
         "w.exp_avg_sq" = %16#2,
         "b" = %19,
         "b.exp_avg" = %19#1,
         "b.exp_avg_sq" = %19#2
}

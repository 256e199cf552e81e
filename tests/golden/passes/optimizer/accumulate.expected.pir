graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = input {name = "dy"}                                               : f32[T,4]
  %3 = pattern {name = "w"}                                              : pattern[4,8]
  %4 = state {name = "w"}                                                : f32[nnz(%3)]
  %5 = state {name = "b"}                                                : f32[4]
  %6:2 = linear_weight_gradient %1, %2, %3                               : f32[nnz(%3)], f32[4]
  scope "optimizer"
  %7 = input {name = "keep"}                                             : f32[]
  %8 = state {name = "gradient.w"}                                       : f32[nnz(%3)]
  %9 = mul %8, %7                                                        : f32[nnz(%3)]
  %10 = add %9, %6                                                       : f32[nnz(%3)]
  %11 = state {name = "gradient.b"}                                      : f32[4]
  %12 = mul %11, %7                                                      : f32[4]
  %13 = add %12, %6#1                                                    : f32[4]
  return "gradient.w" = %10,
         "gradient.b" = %13
}

graph @step_apply () {
  %1 = pattern {name = "w"}                                              : pattern[4,8]
  %2 = state {name = "w"}                                                : f32[nnz(%1)]
  %3 = state {name = "gradient.w"}                                       : f32[nnz(%1)]
  %4 = state {name = "b"}                                                : f32[4]
  %5 = state {name = "gradient.b"}                                       : f32[4]
  scope "optimizer"
  %6 = input {name = "learning_rate"}                                    : f32[]
  %7 = sum_of_squares %3                                                 : f32[]
  %8 = sum_of_squares %5                                                 : f32[]
  %9 = add %7, %8                                                        : f32[]
  %10 = sqrt %9                                                          : f32[]
  %11 = clip_factor %10 {max_norm = 1}                                   : f32[]
  %12 = input {name = "step"}                                            : i64[]
  %13 = state {name = "w.exp_avg"}                                       : f32[nnz(%1)]
  %14 = state {name = "w.exp_avg_sq"}                                    : f32[nnz(%1)]
  %15:3 = adamw %2, %3, %13, %14, %6, %11, %12 {form = "hf"}             : f32[nnz(%1)], f32[nnz(%1)], f32[nnz(%1)]
  %16 = state {name = "b.exp_avg"}                                       : f32[4]
  %17 = state {name = "b.exp_avg_sq"}                                    : f32[4]
  %18:3 = adamw %4, %5, %16, %17, %6, %11, %12 {form = "hf"}             : f32[4], f32[4], f32[4]
  return "grad_norm" = %10,
         "w" = %15,
         "w.exp_avg" = %15#1,
         "w.exp_avg_sq" = %15#2,
         "b" = %18,
         "b.exp_avg" = %18#1,
         "b.exp_avg_sq" = %18#2
}

graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = state {name = "pruned.w"}                                         : f32[4,8]
  %3 = state {name = "b"}                                                : f32[4]
  %4 = pattern {name = "pruned.w.mask"}                                  : pattern[4,8]
  %5 = state {name = "pruned.w.scores"}                                  : f32[4,8]
  %6 = dense_to_sparse %2, %4                                            : f32[nnz(%4)]
  %7 = linear %1, %6, %3, %4                                             : f32[T,4]
  %8 = input {name = "y"}                                                : f32[T,4]
  %9 = mean_squared_error %7, %8                                         : f32[]
  %10 = constant {value = [1]}                                           : f32[]
  %11 = mean_squared_error_gradient %7, %8, %10                          : f32[T,4]
  %12:2 = linear_weight_gradient %1, %11                                 : f32[4,8], f32[4]
  %13 = dense_to_sparse %12, %4                                          : f32[nnz(%4)]
  %14 = mul %2, %12                                                      : f32[4,8]
  scope "optimizer"
  %15 = input {name = "learning_rate"}                                   : f32[]
  %16 = sum_of_squares %13                                               : f32[]
  %17 = sum_of_squares %12#1                                             : f32[]
  %18 = add %16, %17                                                     : f32[]
  %19 = sqrt %18                                                         : f32[]
  %20 = clip_factor %19 {max_norm = 1}                                   : f32[]
  %21 = input {name = "step"}                                            : i64[]
  %22 = state {name = "pruned.w.exp_avg"}                                : f32[4,8]
  %23 = state {name = "pruned.w.exp_avg_sq"}                             : f32[4,8]
  %24:3 = adamw %2, %13, %22, %23, %15, %20, %21, %4                     : f32[4,8], f32[4,8], f32[4,8]
  %25 = state {name = "b.exp_avg"}                                       : f32[4]
  %26 = state {name = "b.exp_avg_sq"}                                    : f32[4]
  %27:3 = adamw %3, %12#1, %25, %26, %15, %20, %21                       : f32[4], f32[4], f32[4]
  %28 = descend %5, %14, %15, %20                                        : f32[4,8]
  return "grad_norm" = %19,
         "pruned.w" = %24,
         "pruned.w.exp_avg" = %24#1,
         "pruned.w.exp_avg_sq" = %24#2,
         "b" = %27,
         "b.exp_avg" = %27#1,
         "b.exp_avg_sq" = %27#2,
         "pruned.w.scores" = %28,
         "loss" = %9
}

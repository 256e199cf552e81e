graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = state {name = "pruned.w"}                                         : f32[4,8]
  %3 = state {name = "b"}                                                : f32[4]
  %4 = pattern {name = "pruned.w.mask"}                                  : pattern[4,8]
  %5 = dense_to_sparse %2, %4 {gradient = "straight"}                    : f32[nnz(%4)]
  %6 = linear %1, %5, %3, %4                                             : f32[T,4]
  %7 = input {name = "y"}                                                : f32[T,4]
  %8 = mean_squared_error %6, %7                                         : f32[]
  %9 = constant {value = [1]}                                            : f32[]
  %10 = mean_squared_error_gradient %6, %7, %9                           : f32[T,4]
  %11:2 = linear_weight_gradient %1, %10                                 : f32[4,8], f32[4]
  return "gradient.pruned.w" = %11,
         "gradient.b" = %11#1,
         "loss" = %8
}

; pipeline: optimizer{optim=sgd,momentum=0.9,max_grad_norm=0}
graph @step (T <= 512) {
  %1 = input {name = "x"}                                : f32[T,8]
  %2 = input {name = "dy"}                               : f32[T,4]
  %3 = pattern {name = "w"}                              : pattern[4,8]
  %4 = state {name = "w"}                                : f32[nnz(%3)]
  %5 = state {name = "b"}                                : f32[4]
  %6:2 = linear_weight_gradient %1, %2, %3               : f32[nnz(%3)], f32[4]
  return "gradient.w" = %6, "gradient.b" = %6#1
}

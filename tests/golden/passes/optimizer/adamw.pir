; pipeline: optimizer{weight_decay=0.01,beta1=0.8,beta2=0.99,epsilon=1e-6}
graph @step (T <= 512) {
  %1 = input {name = "x"}                                : f32[T,8]
  %2 = input {name = "dy"}                               : f32[T,4]
  %3 = pattern {name = "w"}                              : pattern[4,8]
  %4 = state {name = "w"}                                : f32[nnz(%3)]
  %5 = state {name = "b"}                                : f32[4]
  %6:2 = linear_weight_gradient %1, %2, %3               : f32[nnz(%3)], f32[4]
  return "gradient.w" = %6, "gradient.b" = %6#1
}

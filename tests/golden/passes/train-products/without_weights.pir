; pipeline: train-products{rows=64}
graph @step (T <= 512) {
  %1 = input {name = "x"}                                : f32[T,6]
  %2 = input {name = "dy"}                               : f32[T,4]
  %3 = pattern {name = "w"}                              : pattern[4,6]
  %4 = state {name = "w"}                                : f32[nnz(%3)]
  %5 = linear %1, %4, _, %3                              : f32[T,4]
  %6 = linear_input_gradient %2, %4, %3                  : f32[T,6]
  %7:2 = linear_weight_gradient %1, %2, %3               : f32[nnz(%3)], f32[4]
  return "y" = %5, "dx" = %6, "gradient.w" = %7
}

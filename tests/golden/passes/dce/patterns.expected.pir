graph @patterns () {
  %1 = pattern {name = "w"}                                              : pattern[4,4]
  %2 = state {name = "w"}                                                : f32[nnz(%1)]
  %3 = tanh %2                                                           : f32[nnz(%1)]
  return "w" = %3
}

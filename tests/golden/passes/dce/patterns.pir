; A pattern stays where a type counts its non-zeros.
graph @patterns () {
  %1 = pattern {name = "w"} : pattern[4,4]
  %2 = state {name = "w"} : f32[nnz(%1)]
  %3 = pattern {name = "v"} : pattern[4,4]
  %4 = state {name = "v"} : f32[nnz(%3)]
  %5 = tanh %2 : f32[nnz(%1)]
  %6 = tanh %4 : f32[nnz(%3)]
  return "w" = %5
}

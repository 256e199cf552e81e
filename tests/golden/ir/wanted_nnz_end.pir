graph @g () {
  %1 = pattern {name = "w"} : pattern[4,4]
  %2 = state {name = "w"} : f32[nnz(%1]
  return
}

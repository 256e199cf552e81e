graph @g (T <= 8) {
  %70 = pattern {name = "w"} : pattern[4,4]
  %80 = state {name = "w"} : f32[nnz(%70)]
  %9 = gelu %80 : f32[4]
  return
}

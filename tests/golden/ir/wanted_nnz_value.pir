graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[nnz(w)]
  return "y" = %1
}

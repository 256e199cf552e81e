; All results of a node are those of its equal; patterns fall together, and types that count their non-zeros with them.
graph @results (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = pattern {name = "w"} : pattern[4,4]
  %3 = state {name = "w"} : f32[nnz(%2)]
  %4 = linear %1, %3, _, %2 : f32[T,4]
  %5 = pattern {name = "w"} : pattern[4,4]
  %6 = state {name = "w"} : f32[nnz(%5)]
  %7 = linear %1, %6, _, %5 : f32[T,4]
  %8 = state {name = "g"} : f32[4]
  %9:3 = layer_norm %4, %8, %8 {eps = 0.5} : f32[T,4], f32[T], f32[T]
  %10:3 = layer_norm %7, %8, %8 {eps = 0.5} : f32[T,4], f32[T], f32[T]
  %11:3 = layer_norm %7, %8, %8 {eps = 0.25} : f32[T,4], f32[T], f32[T]
  %12 = tanh %10#2 : f32[T]
  %13 = tanh %9#2 : f32[T]
  return "a" = %9, "b" = %10#1, "c" = %11#2, "d" = %12, "e" = %13
}

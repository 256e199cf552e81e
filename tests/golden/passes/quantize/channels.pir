; pipeline: quantize,autodiff,dce
graph @step (T <= 512) {
  %1 = input {name = "x"} : f32[T,8]
  %2 = pattern {name = "channels.sparse.weight"} : pattern[4,8]
  %3 = state {name = "channels.sparse.weight"} : f32[nnz(%2)]
  %4 = state {name = "channels.dense.weight"} : f32[4,4]
  scope "sparse"
  %5 = linear %1, %3, _, %2 : f32[T,4]
  scope "dense"
  %6 = linear %5, %4 : f32[T,4]
  %7 = input {name = "y"} : f32[T,4]
  %8 = mean_squared_error %6, %7 : f32[]
  return "loss" = %8
}

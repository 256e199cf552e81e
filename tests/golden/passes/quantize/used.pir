; pipeline: quantize{trained=0}
graph @infer (T <= 512) {
  %1 = input {name = "x"} : f32[T,8]
  %2 = pattern {name = "whole.dense.weight"} : pattern[4,8]
  %3 = state {name = "whole.dense.weight"} : f32[nnz(%2)]
  scope "dense"
  %4 = linear %1, %3, _, %2 : f32[T,4]
  return "y" = %4
}

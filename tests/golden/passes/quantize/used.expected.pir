graph @infer (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = pattern {name = "whole.dense.weight"}                             : pattern[4,8]
  %3 = state {name = "whole.dense.weight"}                               : f32[nnz(%2)]
  scope "dense"
  %4 = state {frozen = true, name = "whole.dense.input_range"}           : f32[2]
  %5 = fake_quantize %1, %4                                              : f32[T,8]
  %6 = state {frozen = true, name = "whole.dense.weight_range"}          : f32[2]
  %7 = fake_quantize %3, %6 {scheme = "symmetric"}                       : f32[nnz(%2)]
  %8 = linear %5, %7, _, %2                                              : f32[T,4]
  %9 = state {frozen = true, name = "whole.dense.output_range"}          : f32[2]
  %10 = fake_quantize %8, %9                                             : f32[T,4]
  return "y" = %10
}

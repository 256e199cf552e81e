graph @bert (T <= 64) {
  scope "embeddings"
  %1 = input {name = "x"}                                                : f32[T,4]
  scope "encoder.layer.0.intermediate"
  %2 = pattern {name = "bert.encoder.layer.0.intermediate.dense.weight"} : pattern[8,4]
  %3 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}   : f32[nnz(%2)]
  %4 = linear %1, %3, _, %2 {group = 1, slot = [0]}                      : f32[T,8]
  %5 = gelu %4 {group = 1}                                               : f32[T,8]
  scope "encoder.layer.0.output"
  %6 = state {name = "bert.encoder.layer.0.output.dense.weight"}         : f32[4,8]
  %7 = linear %5, %6 {group = 2}                                         : f32[T,4]
  %8 = add %7, %1 {group = 2}                                            : f32[T,4]
  scope "encoder.layer.1.intermediate"
  %9 = pattern {name = "bert.encoder.layer.1.intermediate.dense.weight"} : pattern[8,4]
  %10 = state {name = "bert.encoder.layer.1.intermediate.dense.weight"}  : f32[nnz(%9)]
  %11 = linear %8, %10, _, %9 {group = 11, slot = [1]}                   : f32[T,8]
  %12 = gelu %11 {group = 11}                                            : f32[T,8]
  scope "encoder.layer.1.output"
  %13 = state {name = "bert.encoder.layer.1.output.dense.weight"}        : f32[4,8]
  %14 = linear %12, %13 {group = 12}                                     : f32[T,4]
  %15 = add %14, %8 {group = 12}                                         : f32[T,4]
  return "y" = %15
}

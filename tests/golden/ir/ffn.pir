graph @ffn (T <= 65536) {
  %1 = input {name = "x"}                                                : f32[T,768]
  %2 = pattern {name = "encoder.layer.0.intermediate.dense.weight"}      : pattern[3072,768]
  %3 = state {name = "encoder.layer.0.intermediate.dense.weight"}        : f32[nnz(%2)]
  %4 = state {name = "encoder.layer.0.intermediate.dense.bias"}          : f32[3072]
  %5 = linear %1, %3, %4, %2 {group = 1}                                 : f32[T,3072]
  %6 = gelu %5 {group = 1}                                               : f32[T,3072]
  return "y" = %6
}

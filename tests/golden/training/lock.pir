graph @step (B <= 65536, S <= 24) {
  scope "embeddings"
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = reshape %1                                                        : i64[B*S]
  %3 = padded_offsets %1                                                 : i32[B+1]
  %4 = input {name = "input_ids"}                                        : i64[B,S]
  %5 = reshape %4                                                        : i64[B*S]
  %6 = row_positions %3, %5                                              : i32[B*S]
  scope "embeddings.word_embeddings"
  %7 = state {name = "bert.embeddings.word_embeddings.weight"}           : f32[33,32]
  %8 = embedding %7, %5 {padding_id = 0}                                 : f32[B*S,32]
  scope "embeddings.position_embeddings"
  %9 = state {name = "bert.embeddings.position_embeddings.weight"}       : f32[24,32]
  %10 = embedding %9, %6                                                 : f32[B*S,32]
  scope "embeddings.token_type_embeddings"
  %11 = input {name = "token_type_ids"}                                  : i64[B,S]
  %12 = reshape %11                                                      : i64[B*S]
  %13 = state {name = "bert.embeddings.token_type_embeddings.weight"}    : f32[2,32]
  %14 = embedding %13, %12                                               : f32[B*S,32]
  %15 = add %8, %14                                                      : f32[B*S,32]
  %16 = add %15, %10                                                     : f32[B*S,32]
  scope "embeddings.LayerNorm"
  %17 = state {name = "bert.embeddings.LayerNorm.weight"}                : f32[32]
  %18 = state {name = "bert.embeddings.LayerNorm.bias"}                  : f32[32]
  %19:3 = layer_norm %16, %17, %18 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "encoder.layer.0.attention.self.query"
  %20 = pattern {name = "bert.encoder.layer.0.attention.self.query.weight"} : pattern[32,32]
  %21 = state {name = "bert.encoder.layer.0.attention.self.query.weight"} : f32[nnz(%20)]
  %22 = state {name = "bert.encoder.layer.0.attention.self.query.bias"}  : f32[32]
  %23 = linear %19, %21, %22, %20                                        : f32[B*S,32]
  scope "encoder.layer.0.attention.self.key"
  %24 = pattern {name = "bert.encoder.layer.0.attention.self.key.weight"} : pattern[32,32]
  %25 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[nnz(%24)]
  %26 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[32]
  %27 = linear %19, %25, %26, %24                                        : f32[B*S,32]
  scope "encoder.layer.0.attention.self.value"
  %28 = pattern {name = "bert.encoder.layer.0.attention.self.value.weight"} : pattern[32,32]
  %29 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[nnz(%28)]
  %30 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[32]
  %31 = linear %19, %29, %30, %28                                        : f32[B*S,32]
  scope "encoder.layer.0.attention.self"
  %32:2 = attention %23, %27, %31, %3, %2 {heads = 2, scale = 0.25}      : f32[B*S,32], f32[B*S,2]
  scope "encoder.layer.0.attention.output.dense"
  %33 = pattern {name = "bert.encoder.layer.0.attention.output.dense.weight"} : pattern[32,32]
  %34 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[nnz(%33)]
  %35 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[32]
  %36 = linear %32, %34, %35, %33                                        : f32[B*S,32]
  %37 = add %36, %19                                                     : f32[B*S,32]
  scope "encoder.layer.0.attention.output.LayerNorm"
  %38 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[32]
  %39 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[32]
  %40:3 = layer_norm %37, %38, %39 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "encoder.layer.0.intermediate.dense"
  %41 = pattern {name = "bert.encoder.layer.0.intermediate.dense.weight"} : pattern[48,32]
  %42 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[nnz(%41)]
  %43 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[48]
  %44 = linear %40, %42, %43, %41                                        : f32[B*S,48]
  %45 = gelu %44                                                         : f32[B*S,48]
  scope "encoder.layer.0.output.dense"
  %46 = pattern {name = "bert.encoder.layer.0.output.dense.weight"}      : pattern[32,48]
  %47 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[nnz(%46)]
  %48 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[32]
  %49 = linear %45, %47, %48, %46                                        : f32[B*S,32]
  %50 = add %49, %40                                                     : f32[B*S,32]
  scope "encoder.layer.0.output.LayerNorm"
  %51 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[32]
  %52 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[32]
  %53:3 = layer_norm %50, %51, %52 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  %54 = first_rows %3                                                    : i32[B]
  %55 = gather_rows %53, %54                                             : f32[B,32]
  scope "pooler.dense"
  %56 = pattern {name = "bert.pooler.dense.weight"}                      : pattern[32,32]
  %57 = state {name = "bert.pooler.dense.weight"}                        : f32[nnz(%56)]
  %58 = state {name = "bert.pooler.dense.bias"}                          : f32[32]
  %59 = linear %55, %57, %58, %56                                        : f32[B,32]
  %60 = tanh %59                                                         : f32[B,32]
  scope "classifier"
  %61 = state {name = "classifier.weight"}                               : f32[2,32]
  %62 = state {name = "classifier.bias"}                                 : f32[2]
  %63 = linear %60, %61, %62                                             : f32[B,2]
  scope "loss"
  %64 = input {name = "labels"}                                          : i64[B]
  %65 = cross_entropy %63, %64 {reduction = "sum"}                       : f32[]
  %66 = input {name = "scale.labels"}                                    : f32[]
  %67 = mul %65, %66                                                     : f32[]
  return "logits" = %63,
         "loss.labels" = %67,
         "loss" = %67
}

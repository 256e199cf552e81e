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
  %20 = state {name = "bert.encoder.layer.0.attention.self.query.weight"} : f32[32,32]
  %21 = state {name = "bert.encoder.layer.0.attention.self.query.bias"}  : f32[32]
  %22 = pattern {name = "bert.encoder.layer.0.attention.self.query.weight.mask"} : pattern[32,32]
  %23 = dense_to_sparse %20, %22                                         : f32[nnz(%22)]
  %24 = linear %19, %23, %21, %22                                        : f32[B*S,32]
  scope "encoder.layer.0.attention.self.key"
  %25 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[32,32]
  %26 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[32]
  %27 = linear %19, %25, %26                                             : f32[B*S,32]
  scope "encoder.layer.0.attention.self.value"
  %28 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[32,32]
  %29 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[32]
  %30 = linear %19, %28, %29                                             : f32[B*S,32]
  scope "encoder.layer.0.attention.self"
  %31:2 = attention %24, %27, %30, %3, %2 {heads = 2, scale = 0.25}      : f32[B*S,32], f32[B*S,2]
  scope "encoder.layer.0.attention.output.dense"
  %32 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[32,32]
  %33 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[32]
  %34 = linear %31, %32, %33                                             : f32[B*S,32]
  %35 = add %34, %19                                                     : f32[B*S,32]
  scope "encoder.layer.0.attention.output.LayerNorm"
  %36 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[32]
  %37 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[32]
  %38:3 = layer_norm %35, %36, %37 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "encoder.layer.0.intermediate.dense"
  %39 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[48,32]
  %40 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[48]
  %41 = pattern {name = "bert.encoder.layer.0.intermediate.dense.weight.mask"} : pattern[48,32]
  %42 = dense_to_sparse %39, %41                                         : f32[nnz(%41)]
  %43 = linear %38, %42, %40, %41                                        : f32[B*S,48]
  %44 = gelu %43                                                         : f32[B*S,48]
  scope "encoder.layer.0.output.dense"
  %45 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[32,48]
  %46 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[32]
  %47 = pattern {name = "bert.encoder.layer.0.output.dense.weight.mask"} : pattern[32,48]
  %48 = dense_to_sparse %45, %47                                         : f32[nnz(%47)]
  %49 = linear %44, %48, %46, %47                                        : f32[B*S,32]
  %50 = add %49, %38                                                     : f32[B*S,32]
  scope "encoder.layer.0.output.LayerNorm"
  %51 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[32]
  %52 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[32]
  %53:3 = layer_norm %50, %51, %52 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  %54 = first_rows %3                                                    : i32[B]
  %55 = gather_rows %53, %54                                             : f32[B,32]
  scope "pooler.dense"
  %56 = state {name = "bert.pooler.dense.weight"}                        : f32[32,32]
  %57 = state {name = "bert.pooler.dense.bias"}                          : f32[32]
  %58 = linear %55, %56, %57                                             : f32[B,32]
  %59 = tanh %58                                                         : f32[B,32]
  scope "classifier"
  %60 = state {name = "classifier.weight"}                               : f32[2,32]
  %61 = state {name = "classifier.bias"}                                 : f32[2]
  %62 = linear %59, %60, %61                                             : f32[B,2]
  scope "loss"
  %63 = input {name = "labels"}                                          : i64[B]
  %64 = cross_entropy %62, %63 {reduction = "sum"}                       : f32[]
  %65 = input {name = "scale.labels"}                                    : f32[]
  %66 = mul %64, %65                                                     : f32[]
  return "logits" = %62,
         "loss.labels" = %66,
         "loss" = %66
}

; BERT of one layer that classifies sequences.
graph @infer (B <= 65536, S <= 32) {
  scope "embeddings"
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = reshape %1                                                        : i64[B*S]
  %3 = padded_offsets %1                                                 : i32[B+1]
  %4 = input {name = "input_ids"}                                        : i64[B,S]
  %5 = reshape %4                                                        : i64[B*S]
  %6 = row_positions %3, %5                                              : i32[B*S]
  scope "embeddings.word_embeddings"
  %7 = state {name = "bert.embeddings.word_embeddings.weight"}           : f32[50,8]
  %8 = embedding %7, %5                                                  : f32[B*S,8]
  scope "embeddings.position_embeddings"
  %9 = state {name = "bert.embeddings.position_embeddings.weight"}       : f32[32,8]
  %10 = embedding %9, %6                                                 : f32[B*S,8]
  scope "embeddings.token_type_embeddings"
  %11 = input {name = "token_type_ids"}                                  : i64[B,S]
  %12 = reshape %11                                                      : i64[B*S]
  %13 = state {name = "bert.embeddings.token_type_embeddings.weight"}    : f32[2,8]
  %14 = embedding %13, %12                                               : f32[B*S,8]
  %15 = add %8, %14                                                      : f32[B*S,8]
  %16 = add %15, %10                                                     : f32[B*S,8]
  scope "embeddings.LayerNorm"
  %17 = state {name = "bert.embeddings.LayerNorm.weight"}                : f32[8]
  %18 = state {name = "bert.embeddings.LayerNorm.bias"}                  : f32[8]
  %19:3 = layer_norm %16, %17, %18 {eps = 1e-12}                         : f32[B*S,8], f32[B*S], f32[B*S]
  scope "encoder.layer.0.attention.self.query"
  %20 = state {name = "bert.encoder.layer.0.attention.self.query.weight"} : f32[8,8]
  %21 = state {name = "bert.encoder.layer.0.attention.self.query.bias"}  : f32[8]
  %22 = linear %19, %20, %21                                             : f32[B*S,8]
  scope "encoder.layer.0.attention.self.key"
  %23 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[8,8]
  %24 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[8]
  %25 = linear %19, %23, %24                                             : f32[B*S,8]
  scope "encoder.layer.0.attention.self.value"
  %26 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[8,8]
  %27 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[8]
  %28 = linear %19, %26, %27                                             : f32[B*S,8]
  scope "encoder.layer.0.attention.self"
  %29:2 = attention %22, %25, %28, %3, %2 {heads = 2, scale = 0.5}       : f32[B*S,8], f32[B*S,2]
  scope "encoder.layer.0.attention.output.dense"
  %30 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[8,8]
  %31 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[8]
  %32 = linear %29, %30, %31                                             : f32[B*S,8]
  %33 = add %32, %19                                                     : f32[B*S,8]
  scope "encoder.layer.0.attention.output.LayerNorm"
  %34 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[8]
  %35 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[8]
  %36:3 = layer_norm %33, %34, %35 {eps = 1e-12}                         : f32[B*S,8], f32[B*S], f32[B*S]
  scope "encoder.layer.0.intermediate.dense"
  %37 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[16,8]
  %38 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[16]
  %39 = linear %36, %37, %38                                             : f32[B*S,16]
  %40 = gelu %39                                                         : f32[B*S,16]
  scope "encoder.layer.0.output.dense"
  %41 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[8,16]
  %42 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[8]
  %43 = linear %40, %41, %42                                             : f32[B*S,8]
  %44 = add %43, %36                                                     : f32[B*S,8]
  scope "encoder.layer.0.output.LayerNorm"
  %45 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[8]
  %46 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[8]
  %47:3 = layer_norm %44, %45, %46 {eps = 1e-12}                         : f32[B*S,8], f32[B*S], f32[B*S]
  %48 = first_rows %3                                                    : i32[B]
  %49 = gather_rows %47, %48                                             : f32[B,8]
  scope "pooler.dense"
  %50 = state {name = "bert.pooler.dense.weight"}                        : f32[8,8]
  %51 = state {name = "bert.pooler.dense.bias"}                          : f32[8]
  %52 = linear %49, %50, %51                                             : f32[B,8]
  %53 = tanh %52                                                         : f32[B,8]
  scope "classifier"
  %54 = state {name = "classifier.weight"}                               : f32[2,8]
  %55 = state {name = "classifier.bias"}                                 : f32[2]
  %56 = linear %53, %54, %55                                             : f32[B,2]
  return "logits" = %56
}

graph @infer (B <= 65536, S <= 32) {
  scope "embeddings"
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = reshape %1 {slot = [0]}                                           : i64[B*S]
  %3 = padded_offsets %1 {slot = [1]}                                    : i32[B+1]
  %4 = input {name = "input_ids"}                                        : i64[B,S]
  %5 = reshape %4 {slot = [2]}                                           : i64[B*S]
  %6 = row_positions %3, %5 {slot = [3]}                                 : i32[B*S]
  scope "embeddings.word_embeddings"
  %7 = state {name = "bert.embeddings.word_embeddings.weight"}           : f32[50,8]
  %8 = embedding %7, %5 {group = 1}                                      : f32[B*S,8]
  scope "embeddings.position_embeddings"
  %9 = state {name = "bert.embeddings.position_embeddings.weight"}       : f32[32,8]
  %10 = embedding %9, %6 {group = 1}                                     : f32[B*S,8]
  scope "embeddings.token_type_embeddings"
  %11 = input {name = "token_type_ids"}                                  : i64[B,S]
  %12 = reshape %11 {slot = [4]}                                         : i64[B*S]
  %13 = state {name = "bert.embeddings.token_type_embeddings.weight"}    : f32[2,8]
  %14 = embedding %13, %12 {group = 1}                                   : f32[B*S,8]
  %15 = add %8, %14 {group = 1}                                          : f32[B*S,8]
  %16 = add %10, %15 {group = 1}                                         : f32[B*S,8]
  scope "embeddings.LayerNorm"
  %17 = state {name = "bert.embeddings.LayerNorm.weight"}                : f32[8]
  %18 = state {name = "bert.embeddings.LayerNorm.bias"}                  : f32[8]
  %19 = relayout %16 {group = 1}                                         : f32[B*S,8] tiles<32>
  %20:3 = layer_norm %19, %17, %18 {eps = 1e-12, group = 1, slot = [5, -1, -1]} : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  scope "encoder.layer.0.attention.self.query"
  %21 = state {name = "bert.encoder.layer.0.attention.self.query.weight"} : f32[8,8]
  %22 = state {name = "bert.encoder.layer.0.attention.self.query.bias"}  : f32[8]
  %23 = linear %20, %21, %22 {slot = [2]}                                : f32[B*S,8] tiles<32>
  scope "encoder.layer.0.attention.self.key"
  %24 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[8,8]
  %25 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[8]
  %26 = linear %20, %24, %25 {slot = [4]}                                : f32[B*S,8] tiles<32>
  scope "encoder.layer.0.attention.self.value"
  %27 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[8,8]
  %28 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[8]
  %29 = linear %20, %27, %28 {slot = [3]}                                : f32[B*S,8] tiles<32>
  scope "encoder.layer.0.attention.self"
  %30:2 = attention %23, %26, %29, %3, %2 {heads = 2, scale = 0.5, slot = [6, -1]} : f32[B*S,8] tiles<32>, f32[B*S,2] tiles<32>
  scope "encoder.layer.0.attention.output.dense"
  %31 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[8,8]
  %32 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[8]
  %33 = linear %30, %31, %32 {group = 2}                                 : f32[B*S,8] tiles<32>
  %34 = add %20, %33 {group = 2}                                         : f32[B*S,8] tiles<32>
  scope "encoder.layer.0.attention.output.LayerNorm"
  %35 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[8]
  %36 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[8]
  %37:3 = layer_norm %34, %35, %36 {eps = 1e-12, group = 2, slot = [2, -1, -1]} : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  scope "encoder.layer.0.intermediate.dense"
  %38 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[16,8]
  %39 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[16]
  %40 = linear %37, %38, %39 {group = 3}                                 : f32[B*S,16] tiles<32>
  %41 = gelu %40 {group = 3, slot = [3]}                                 : f32[B*S,16] tiles<32>
  scope "encoder.layer.0.output.dense"
  %42 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[8,16]
  %43 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[8]
  %44 = linear %41, %42, %43 {group = 4}                                 : f32[B*S,8] tiles<32>
  %45 = add %37, %44 {group = 4}                                         : f32[B*S,8] tiles<32>
  scope "encoder.layer.0.output.LayerNorm"
  %46 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[8]
  %47 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[8]
  %48:3 = layer_norm %45, %46, %47 {eps = 1e-12, group = 4, slot = [4, -1, -1]} : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  %49 = first_rows %3 {slot = [0]}                                       : i32[B]
  %50 = gather_rows %48, %49 {slot = [2]}                                : f32[B,8] tiles<32>
  scope "pooler.dense"
  %51 = state {name = "bert.pooler.dense.weight"}                        : f32[8,8]
  %52 = state {name = "bert.pooler.dense.bias"}                          : f32[8]
  %53 = linear %50, %51, %52 {group = 5}                                 : f32[B,8] tiles<32>
  %54 = tanh %53 {group = 5, slot = [0]}                                 : f32[B,8] tiles<32>
  scope "classifier"
  %55 = state {name = "classifier.weight"}                               : f32[2,8]
  %56 = state {name = "classifier.bias"}                                 : f32[2]
  %57 = linear %54, %55, %56 {slot = [2]}                                : f32[B,2] tiles<32>
  %58 = relayout %57 {slot = [0]}                                        : f32[B,2]
  return "logits" = %58
}

graph @infer (B <= 65536, S <= 32, T <= 2097152) {
  scope "embeddings"
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2:2 = kept_rows %1 {rows = "T", slot = [0, 1]}                        : i32[T], i32[B+1]
  %3 = reshape %1 {slot = [2]}                                           : i64[B*S]
  %4 = gather_rows %3, %2 {slot = [3]}                                   : i64[T]
  %5 = input {name = "input_ids"}                                        : i64[B,S]
  %6 = reshape %5 {slot = [2]}                                           : i64[B*S]
  %7 = gather_rows %6, %2 {slot = [4]}                                   : i64[T]
  %8 = padded_offsets %1 {slot = [5]}                                    : i32[B+1]
  %9 = row_positions %8, %6 {slot = [6]}                                 : i32[B*S]
  %10 = gather_rows %9, %2 {slot = [5]}                                  : i32[T]
  scope "embeddings.word_embeddings"
  %11 = state {name = "bert.embeddings.word_embeddings.weight"}          : f32[50,8]
  %12 = embedding %11, %7 {group = 1}                                    : f32[T,8]
  scope "embeddings.position_embeddings"
  %13 = state {name = "bert.embeddings.position_embeddings.weight"}      : f32[32,8]
  %14 = embedding %13, %10 {group = 1}                                   : f32[T,8]
  scope "embeddings.token_type_embeddings"
  %15 = input {name = "token_type_ids"}                                  : i64[B,S]
  %16 = reshape %15 {slot = [2]}                                         : i64[B*S]
  %17 = gather_rows %16, %2 {slot = [6]}                                 : i64[T]
  %18 = state {name = "bert.embeddings.token_type_embeddings.weight"}    : f32[2,8]
  %19 = embedding %18, %17 {group = 1}                                   : f32[T,8]
  %20 = add %12, %19 {group = 1}                                         : f32[T,8]
  %21 = add %14, %20 {group = 1}                                         : f32[T,8]
  scope "embeddings.LayerNorm"
  %22 = state {name = "bert.embeddings.LayerNorm.weight"}                : f32[8]
  %23 = state {name = "bert.embeddings.LayerNorm.bias"}                  : f32[8]
  %24 = relayout %21 {group = 1}                                         : f32[T,8] tiles<32>
  %25:3 = layer_norm %24, %22, %23 {eps = 1e-12, group = 1, slot = [7, -1, -1]} : f32[T,8] tiles<32>, f32[T], f32[T]
  scope "encoder.layer.0.attention.self.query"
  %26 = state {name = "bert.encoder.layer.0.attention.self.query.weight"} : f32[8,8]
  %27 = state {name = "bert.encoder.layer.0.attention.self.query.bias"}  : f32[8]
  scope "encoder.layer.0.attention.self.key"
  %28 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[8,8]
  %29 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[8]
  %30 = linear %25, %28, %29 {slot = [8]}                                : f32[T,8] tiles<32>
  scope "encoder.layer.0.attention.self.value"
  %31 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[8,8]
  %32 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[8]
  %33 = linear %25, %31, %32 {slot = [9]}                                : f32[T,8] tiles<32>
  scope "encoder.layer.0.attention.output.dense"
  %34 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[8,8]
  %35 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[8]
  scope "encoder.layer.0.attention.output.LayerNorm"
  %36 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[8]
  %37 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[8]
  scope "encoder.layer.0.intermediate.dense"
  %38 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[16,8]
  %39 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[16]
  scope "encoder.layer.0.output.dense"
  %40 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[8,16]
  %41 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[8]
  scope "encoder.layer.0.output.LayerNorm"
  %42 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[8]
  %43 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[8]
  %44 = first_rows %2#1 {slot = [5]}                                     : i32[B]
  scope "encoder.layer.0.attention.self.query"
  %45 = gather_rows %25, %44 {slot = [10]}                               : f32[B,8] tiles<32>
  %46 = linear %45, %26, %27 {slot = [11]}                               : f32[B,8] tiles<32>
  scope "encoder.layer.0.attention.self"
  %47 = reshape %44 {slot = [5]}                                         : i32[B,1]
  %48 = padded_offsets %47 {slot = [0]}                                  : i32[B+1]
  %49:2 = attention %46, %30, %33, %2#1, %4, %48 {heads = 2, scale = 0.5, slot = [12, -1]} : f32[B,8] tiles<32>, f32[B,2] tiles<32>
  scope "encoder.layer.0.attention.output.dense"
  %50 = linear %49, %34, %35 {group = 2}                                 : f32[B,8] tiles<32>
  %51 = add %45, %50 {group = 2, slot = [11]}                            : f32[B,8] tiles<32>
  scope "encoder.layer.0.attention.output.LayerNorm"
  %52:3 = layer_norm %51, %36, %37 {eps = 1e-12, slot = [10, -1, -1]}    : f32[B,8] tiles<32>, f32[B], f32[B]
  scope "encoder.layer.0.intermediate.dense"
  %53 = linear %52, %38, %39 {group = 3}                                 : f32[B,16] tiles<32>
  %54 = gelu %53 {group = 3, slot = [13]}                                : f32[B,16] tiles<32>
  scope "encoder.layer.0.output.dense"
  %55 = linear %54, %40, %41 {group = 4}                                 : f32[B,8] tiles<32>
  %56 = add %52, %55 {group = 4, slot = [11]}                            : f32[B,8] tiles<32>
  scope "encoder.layer.0.output.LayerNorm"
  %57:3 = layer_norm %56, %42, %43 {eps = 1e-12, slot = [10, -1, -1]}    : f32[B,8] tiles<32>, f32[B], f32[B]
  scope "pooler.dense"
  %58 = state {name = "bert.pooler.dense.weight"}                        : f32[8,8]
  %59 = state {name = "bert.pooler.dense.bias"}                          : f32[8]
  %60 = linear %57, %58, %59 {group = 5}                                 : f32[B,8] tiles<32>
  %61 = tanh %60 {group = 5, slot = [11]}                                : f32[B,8] tiles<32>
  scope "classifier"
  %62 = state {name = "classifier.weight"}                               : f32[2,8]
  %63 = state {name = "classifier.bias"}                                 : f32[2]
  %64 = linear %61, %62, %63 {slot = [14]}                               : f32[B,2] tiles<32>
  %65 = relayout %64 {slot = [5]}                                        : f32[B,2]
  return "logits" = %65
}

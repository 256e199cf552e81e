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
  %22 = linear %19, %20, %21                                             : f32[B*S,32]
  scope "encoder.layer.0.attention.self.key"
  %23 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[32,32]
  %24 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[32]
  %25 = linear %19, %23, %24                                             : f32[B*S,32]
  scope "encoder.layer.0.attention.self.value"
  %26 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[32,32]
  %27 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[32]
  %28 = linear %19, %26, %27                                             : f32[B*S,32]
  scope "encoder.layer.0.attention.self"
  %29:2 = attention %22, %25, %28, %3, %2 {heads = 2, scale = 0.25}      : f32[B*S,32], f32[B*S,2]
  scope "encoder.layer.0.attention.output.dense"
  %30 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[32,32]
  %31 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[32]
  %32 = linear %29, %30, %31                                             : f32[B*S,32]
  %33 = add %32, %19                                                     : f32[B*S,32]
  scope "encoder.layer.0.attention.output.LayerNorm"
  %34 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[32]
  %35 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[32]
  %36:3 = layer_norm %33, %34, %35 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "encoder.layer.0.intermediate.dense"
  %37 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[48,32]
  %38 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[48]
  %39 = linear %36, %37, %38                                             : f32[B*S,48]
  %40 = gelu %39                                                         : f32[B*S,48]
  scope "encoder.layer.0.output.dense"
  %41 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[32,48]
  %42 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[32]
  %43 = linear %40, %41, %42                                             : f32[B*S,32]
  %44 = add %43, %36                                                     : f32[B*S,32]
  scope "encoder.layer.0.output.LayerNorm"
  %45 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[32]
  %46 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[32]
  %47:3 = layer_norm %44, %45, %46 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  %48 = first_rows %3                                                    : i32[B]
  %49 = gather_rows %47, %48                                             : f32[B,32]
  scope "pooler.dense"
  %50 = state {name = "bert.pooler.dense.weight"}                        : f32[32,32]
  %51 = state {name = "bert.pooler.dense.bias"}                          : f32[32]
  %52 = linear %49, %50, %51                                             : f32[B,32]
  %53 = tanh %52                                                         : f32[B,32]
  scope "classifier"
  %54 = state {name = "classifier.weight"}                               : f32[2,32]
  %55 = state {name = "classifier.bias"}                                 : f32[2]
  %56 = linear %53, %54, %55                                             : f32[B,2]
  scope "loss"
  %57 = input {name = "labels"}                                          : i64[B]
  %58 = cross_entropy %56, %57 {reduction = "sum"}                       : f32[]
  %59 = input {name = "scale.labels"}                                    : f32[]
  %60 = mul %58, %59                                                     : f32[]
  scope "teacher.embeddings"
  %61 = reshape %1                                                       : i64[B*S]
  %62 = padded_offsets %1                                                : i32[B+1]
  %63 = reshape %4                                                       : i64[B*S]
  %64 = row_positions %62, %63                                           : i32[B*S]
  scope "teacher.embeddings.word_embeddings"
  %65 = state {frozen = true, name = "teacher.bert.embeddings.word_embeddings.weight"} : f32[33,32]
  %66 = embedding %65, %63                                               : f32[B*S,32]
  scope "teacher.embeddings.position_embeddings"
  %67 = state {frozen = true, name = "teacher.bert.embeddings.position_embeddings.weight"} : f32[24,32]
  %68 = embedding %67, %64                                               : f32[B*S,32]
  scope "teacher.embeddings.token_type_embeddings"
  %69 = reshape %11                                                      : i64[B*S]
  %70 = state {frozen = true, name = "teacher.bert.embeddings.token_type_embeddings.weight"} : f32[2,32]
  %71 = embedding %70, %69                                               : f32[B*S,32]
  %72 = add %66, %71                                                     : f32[B*S,32]
  %73 = add %72, %68                                                     : f32[B*S,32]
  scope "teacher.embeddings.LayerNorm"
  %74 = state {frozen = true, name = "teacher.bert.embeddings.LayerNorm.weight"} : f32[32]
  %75 = state {frozen = true, name = "teacher.bert.embeddings.LayerNorm.bias"} : f32[32]
  %76:3 = layer_norm %73, %74, %75 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "teacher.encoder.layer.0.attention.self.query"
  %77 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.query.weight"} : f32[32,32]
  %78 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.query.bias"} : f32[32]
  %79 = linear %76, %77, %78                                             : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.self.key"
  %80 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.key.weight"} : f32[32,32]
  %81 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.key.bias"} : f32[32]
  %82 = linear %76, %80, %81                                             : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.self.value"
  %83 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.value.weight"} : f32[32,32]
  %84 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.value.bias"} : f32[32]
  %85 = linear %76, %83, %84                                             : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.self"
  %86:2 = attention %79, %82, %85, %62, %61 {heads = 2, scale = 0.25}    : f32[B*S,32], f32[B*S,2]
  scope "teacher.encoder.layer.0.attention.output.dense"
  %87 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.dense.weight"} : f32[32,32]
  %88 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.dense.bias"} : f32[32]
  %89 = linear %86, %87, %88                                             : f32[B*S,32]
  %90 = add %89, %76                                                     : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.output.LayerNorm"
  %91 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[32]
  %92 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[32]
  %93:3 = layer_norm %90, %91, %92 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "teacher.encoder.layer.0.intermediate.dense"
  %94 = state {frozen = true, name = "teacher.bert.encoder.layer.0.intermediate.dense.weight"} : f32[48,32]
  %95 = state {frozen = true, name = "teacher.bert.encoder.layer.0.intermediate.dense.bias"} : f32[48]
  %96 = linear %93, %94, %95                                             : f32[B*S,48]
  %97 = gelu %96                                                         : f32[B*S,48]
  scope "teacher.encoder.layer.0.output.dense"
  %98 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.dense.weight"} : f32[32,48]
  %99 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.dense.bias"} : f32[32]
  %100 = linear %97, %98, %99                                            : f32[B*S,32]
  %101 = add %100, %93                                                   : f32[B*S,32]
  scope "teacher.encoder.layer.0.output.LayerNorm"
  %102 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.LayerNorm.weight"} : f32[32]
  %103 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.LayerNorm.bias"} : f32[32]
  %104:3 = layer_norm %101, %102, %103 {eps = 1e-12}                     : f32[B*S,32], f32[B*S], f32[B*S]
  %105 = first_rows %62                                                  : i32[B]
  %106 = gather_rows %104, %105                                          : f32[B,32]
  scope "teacher.pooler.dense"
  %107 = state {frozen = true, name = "teacher.bert.pooler.dense.weight"} : f32[32,32]
  %108 = state {frozen = true, name = "teacher.bert.pooler.dense.bias"}  : f32[32]
  %109 = linear %106, %107, %108                                         : f32[B,32]
  %110 = tanh %109                                                       : f32[B,32]
  scope "teacher.classifier"
  %111 = state {frozen = true, name = "teacher.classifier.weight"}       : f32[2,32]
  %112 = state {frozen = true, name = "teacher.classifier.bias"}         : f32[2]
  %113 = linear %110, %111, %112                                         : f32[B,2]
  scope "loss"
  %114 = input {name = "scale.distill.logits"}                           : f32[]
  %115 = kl_divergence %56, %113, _, %114 {temperature = 2}              : f32[]
  %116 = constant {value = [0.5]}                                        : f32[]
  %117 = mul %60, %116                                                   : f32[]
  %118 = constant {value = [0.5]}                                        : f32[]
  %119 = mul %115, %118                                                  : f32[]
  %120 = add %117, %119                                                  : f32[]
  return "loss" = %120,
         "loss.task" = %60,
         "loss.distill" = %115,
         "loss.labels" = %60
}

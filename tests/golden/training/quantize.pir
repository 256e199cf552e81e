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
  %24 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.query.input_range"} : f32[2]
  %25 = input {name = "forward"}                                         : i64[]
  %26 = observe_range %19, %24, %25                                      : f32[2]
  %27 = fake_quantize %19, %26, %25                                      : f32[B*S,32]
  %28 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.query.weight_range"} : f32[2]
  %29 = observe_range %23, %28, %25 {averaging = 0}                      : f32[2]
  %30 = fake_quantize %23, %29, %25 {scheme = "symmetric"}               : f32[nnz(%22)]
  %31 = linear %27, %30, %21, %22                                        : f32[B*S,32]
  %32 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.query.output_range"} : f32[2]
  %33 = observe_range %31, %32, %25                                      : f32[2]
  %34 = fake_quantize %31, %33, %25                                      : f32[B*S,32]
  scope "encoder.layer.0.attention.self.key"
  %35 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[32,32]
  %36 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[32]
  %37 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.key.weight_range"} : f32[2]
  %38 = observe_range %35, %37, %25 {averaging = 0}                      : f32[2]
  %39 = fake_quantize %35, %38, %25 {scheme = "symmetric"}               : f32[32,32]
  %40 = linear %27, %39, %36                                             : f32[B*S,32]
  %41 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.key.output_range"} : f32[2]
  %42 = observe_range %40, %41, %25                                      : f32[2]
  %43 = fake_quantize %40, %42, %25                                      : f32[B*S,32]
  scope "encoder.layer.0.attention.self.value"
  %44 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[32,32]
  %45 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[32]
  %46 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.value.weight_range"} : f32[2]
  %47 = observe_range %44, %46, %25 {averaging = 0}                      : f32[2]
  %48 = fake_quantize %44, %47, %25 {scheme = "symmetric"}               : f32[32,32]
  %49 = linear %27, %48, %45                                             : f32[B*S,32]
  scope "encoder.layer.0.attention.self"
  %50:2 = attention %34, %43, %49, %3, %2 {heads = 2, scale = 0.25}      : f32[B*S,32], f32[B*S,2]
  scope "encoder.layer.0.attention.output.dense"
  %51 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[32,32]
  %52 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[32]
  %53 = state {frozen = true, name = "bert.encoder.layer.0.attention.output.dense.input_range"} : f32[2]
  %54 = observe_range %50, %53, %25                                      : f32[2]
  %55 = fake_quantize %50, %54, %25                                      : f32[B*S,32]
  %56 = state {frozen = true, name = "bert.encoder.layer.0.attention.output.dense.weight_range"} : f32[2]
  %57 = observe_range %51, %56, %25 {averaging = 0}                      : f32[2]
  %58 = fake_quantize %51, %57, %25 {scheme = "symmetric"}               : f32[32,32]
  %59 = linear %55, %58, %52                                             : f32[B*S,32]
  %60 = add %59, %19                                                     : f32[B*S,32]
  scope "encoder.layer.0.attention.output.LayerNorm"
  %61 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[32]
  %62 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[32]
  %63:3 = layer_norm %60, %61, %62 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "encoder.layer.0.intermediate.dense"
  %64 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[48,32]
  %65 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[48]
  %66 = pattern {name = "bert.encoder.layer.0.intermediate.dense.weight.mask"} : pattern[48,32]
  %67 = dense_to_sparse %64, %66                                         : f32[nnz(%66)]
  %68 = state {frozen = true, name = "bert.encoder.layer.0.intermediate.dense.input_range"} : f32[2]
  %69 = observe_range %63, %68, %25                                      : f32[2]
  %70 = fake_quantize %63, %69, %25                                      : f32[B*S,32]
  %71 = state {frozen = true, name = "bert.encoder.layer.0.intermediate.dense.weight_range"} : f32[2]
  %72 = observe_range %67, %71, %25 {averaging = 0}                      : f32[2]
  %73 = fake_quantize %67, %72, %25 {scheme = "symmetric"}               : f32[nnz(%66)]
  %74 = linear %70, %73, %65, %66                                        : f32[B*S,48]
  %75 = state {frozen = true, name = "bert.encoder.layer.0.intermediate.dense.output_range"} : f32[2]
  %76 = observe_range %74, %75, %25                                      : f32[2]
  %77 = fake_quantize %74, %76, %25                                      : f32[B*S,48]
  %78 = gelu %77                                                         : f32[B*S,48]
  scope "encoder.layer.0.output.dense"
  %79 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[32,48]
  %80 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[32]
  %81 = pattern {name = "bert.encoder.layer.0.output.dense.weight.mask"} : pattern[32,48]
  %82 = dense_to_sparse %79, %81                                         : f32[nnz(%81)]
  %83 = state {frozen = true, name = "bert.encoder.layer.0.output.dense.input_range"} : f32[2]
  %84 = observe_range %78, %83, %25                                      : f32[2]
  %85 = fake_quantize %78, %84, %25                                      : f32[B*S,48]
  %86 = state {frozen = true, name = "bert.encoder.layer.0.output.dense.weight_range"} : f32[2]
  %87 = observe_range %82, %86, %25 {averaging = 0}                      : f32[2]
  %88 = fake_quantize %82, %87, %25 {scheme = "symmetric"}               : f32[nnz(%81)]
  %89 = linear %85, %88, %80, %81                                        : f32[B*S,32]
  %90 = add %89, %63                                                     : f32[B*S,32]
  scope "encoder.layer.0.output.LayerNorm"
  %91 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[32]
  %92 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[32]
  %93:3 = layer_norm %90, %91, %92 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  %94 = first_rows %3                                                    : i32[B]
  %95 = gather_rows %93, %94                                             : f32[B,32]
  scope "pooler.dense"
  %96 = state {name = "bert.pooler.dense.weight"}                        : f32[32,32]
  %97 = state {name = "bert.pooler.dense.bias"}                          : f32[32]
  %98 = state {frozen = true, name = "bert.pooler.dense.input_range"}    : f32[2]
  %99 = observe_range %95, %98, %25                                      : f32[2]
  %100 = fake_quantize %95, %99, %25                                     : f32[B,32]
  %101 = state {frozen = true, name = "bert.pooler.dense.weight_range"}  : f32[2]
  %102 = observe_range %96, %101, %25 {averaging = 0}                    : f32[2]
  %103 = fake_quantize %96, %102, %25 {scheme = "symmetric"}             : f32[32,32]
  %104 = linear %100, %103, %97                                          : f32[B,32]
  %105 = state {frozen = true, name = "bert.pooler.dense.output_range"}  : f32[2]
  %106 = observe_range %104, %105, %25                                   : f32[2]
  %107 = fake_quantize %104, %106, %25                                   : f32[B,32]
  %108 = tanh %107                                                       : f32[B,32]
  scope "classifier"
  %109 = state {name = "classifier.weight"}                              : f32[2,32]
  %110 = state {name = "classifier.bias"}                                : f32[2]
  %111 = state {frozen = true, name = "classifier.input_range"}          : f32[2]
  %112 = observe_range %108, %111, %25                                   : f32[2]
  %113 = fake_quantize %108, %112, %25                                   : f32[B,32]
  %114 = state {frozen = true, name = "classifier.weight_range"}         : f32[2]
  %115 = observe_range %109, %114, %25 {averaging = 0}                   : f32[2]
  %116 = fake_quantize %109, %115, %25 {scheme = "symmetric"}            : f32[2,32]
  %117 = linear %113, %116, %110                                         : f32[B,2]
  scope "loss"
  %118 = input {name = "labels"}                                         : i64[B]
  %119 = cross_entropy %117, %118 {reduction = "sum"}                    : f32[]
  %120 = input {name = "scale.labels"}                                   : f32[]
  %121 = mul %119, %120                                                  : f32[]
  return "bert.encoder.layer.0.attention.self.query.input_range" = %26,
         "bert.encoder.layer.0.attention.self.query.weight_range" = %29,
         "bert.encoder.layer.0.attention.self.query.output_range" = %33,
         "bert.encoder.layer.0.attention.self.key.weight_range" = %38,
         "bert.encoder.layer.0.attention.self.key.output_range" = %42,
         "bert.encoder.layer.0.attention.self.value.weight_range" = %47,
         "bert.encoder.layer.0.attention.output.dense.input_range" = %54,
         "bert.encoder.layer.0.attention.output.dense.weight_range" = %57,
         "bert.encoder.layer.0.intermediate.dense.input_range" = %69,
         "bert.encoder.layer.0.intermediate.dense.weight_range" = %72,
         "bert.encoder.layer.0.intermediate.dense.output_range" = %76,
         "bert.encoder.layer.0.output.dense.input_range" = %84,
         "bert.encoder.layer.0.output.dense.weight_range" = %87,
         "bert.pooler.dense.input_range" = %99,
         "bert.pooler.dense.weight_range" = %102,
         "bert.pooler.dense.output_range" = %106,
         "classifier.input_range" = %112,
         "classifier.weight_range" = %115,
         "logits" = %117,
         "loss.labels" = %121,
         "loss" = %121
}

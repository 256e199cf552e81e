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
  %23 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.query.input_range"} : f32[2]
  %24 = input {name = "forward"}                                         : i64[]
  %25 = observe_range %19, %23, %24 {begin = 3}                          : f32[2]
  %26 = fake_quantize %19, %25, %24 {begin = 3}                          : f32[B*S,32]
  %27 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.query.weight_range"} : f32[2]
  %28 = observe_range %21, %27, %24 {averaging = 0, begin = 3}           : f32[2]
  %29 = fake_quantize %21, %28, %24 {begin = 3, scheme = "symmetric"}    : f32[nnz(%20)]
  %30 = linear %26, %29, %22, %20                                        : f32[B*S,32]
  %31 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.query.output_range"} : f32[2]
  %32 = observe_range %30, %31, %24 {begin = 3}                          : f32[2]
  %33 = fake_quantize %30, %32, %24 {begin = 3}                          : f32[B*S,32]
  scope "encoder.layer.0.attention.self.key"
  %34 = pattern {name = "bert.encoder.layer.0.attention.self.key.weight"} : pattern[32,32]
  %35 = state {name = "bert.encoder.layer.0.attention.self.key.weight"}  : f32[nnz(%34)]
  %36 = state {name = "bert.encoder.layer.0.attention.self.key.bias"}    : f32[32]
  %37 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.key.weight_range"} : f32[2]
  %38 = observe_range %35, %37, %24 {averaging = 0, begin = 3}           : f32[2]
  %39 = fake_quantize %35, %38, %24 {begin = 3, scheme = "symmetric"}    : f32[nnz(%34)]
  %40 = linear %26, %39, %36, %34                                        : f32[B*S,32]
  %41 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.key.output_range"} : f32[2]
  %42 = observe_range %40, %41, %24 {begin = 3}                          : f32[2]
  %43 = fake_quantize %40, %42, %24 {begin = 3}                          : f32[B*S,32]
  scope "encoder.layer.0.attention.self.value"
  %44 = pattern {name = "bert.encoder.layer.0.attention.self.value.weight"} : pattern[32,32]
  %45 = state {name = "bert.encoder.layer.0.attention.self.value.weight"} : f32[nnz(%44)]
  %46 = state {name = "bert.encoder.layer.0.attention.self.value.bias"}  : f32[32]
  %47 = state {frozen = true, name = "bert.encoder.layer.0.attention.self.value.weight_range"} : f32[2]
  %48 = observe_range %45, %47, %24 {averaging = 0, begin = 3}           : f32[2]
  %49 = fake_quantize %45, %48, %24 {begin = 3, scheme = "symmetric"}    : f32[nnz(%44)]
  %50 = linear %26, %49, %46, %44                                        : f32[B*S,32]
  scope "encoder.layer.0.attention.self"
  %51:2 = attention %33, %43, %50, %3, %2 {heads = 2, scale = 0.25}      : f32[B*S,32], f32[B*S,2]
  scope "encoder.layer.0.attention.output.dense"
  %52 = pattern {name = "bert.encoder.layer.0.attention.output.dense.weight"} : pattern[32,32]
  %53 = state {name = "bert.encoder.layer.0.attention.output.dense.weight"} : f32[nnz(%52)]
  %54 = state {name = "bert.encoder.layer.0.attention.output.dense.bias"} : f32[32]
  %55 = state {frozen = true, name = "bert.encoder.layer.0.attention.output.dense.input_range"} : f32[2]
  %56 = observe_range %51, %55, %24 {begin = 3}                          : f32[2]
  %57 = fake_quantize %51, %56, %24 {begin = 3}                          : f32[B*S,32]
  %58 = state {frozen = true, name = "bert.encoder.layer.0.attention.output.dense.weight_range"} : f32[2]
  %59 = observe_range %53, %58, %24 {averaging = 0, begin = 3}           : f32[2]
  %60 = fake_quantize %53, %59, %24 {begin = 3, scheme = "symmetric"}    : f32[nnz(%52)]
  %61 = linear %57, %60, %54, %52                                        : f32[B*S,32]
  %62 = add %61, %19                                                     : f32[B*S,32]
  scope "encoder.layer.0.attention.output.LayerNorm"
  %63 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[32]
  %64 = state {name = "bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[32]
  %65:3 = layer_norm %62, %63, %64 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  scope "encoder.layer.0.intermediate.dense"
  %66 = pattern {name = "bert.encoder.layer.0.intermediate.dense.weight"} : pattern[48,32]
  %67 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}  : f32[nnz(%66)]
  %68 = state {name = "bert.encoder.layer.0.intermediate.dense.bias"}    : f32[48]
  %69 = state {frozen = true, name = "bert.encoder.layer.0.intermediate.dense.input_range"} : f32[2]
  %70 = observe_range %65, %69, %24 {begin = 3}                          : f32[2]
  %71 = fake_quantize %65, %70, %24 {begin = 3}                          : f32[B*S,32]
  %72 = state {frozen = true, name = "bert.encoder.layer.0.intermediate.dense.weight_range"} : f32[2]
  %73 = observe_range %67, %72, %24 {averaging = 0, begin = 3}           : f32[2]
  %74 = fake_quantize %67, %73, %24 {begin = 3, scheme = "symmetric"}    : f32[nnz(%66)]
  %75 = linear %71, %74, %68, %66                                        : f32[B*S,48]
  %76 = state {frozen = true, name = "bert.encoder.layer.0.intermediate.dense.output_range"} : f32[2]
  %77 = observe_range %75, %76, %24 {begin = 3}                          : f32[2]
  %78 = fake_quantize %75, %77, %24 {begin = 3}                          : f32[B*S,48]
  %79 = gelu %78                                                         : f32[B*S,48]
  scope "encoder.layer.0.output.dense"
  %80 = pattern {name = "bert.encoder.layer.0.output.dense.weight"}      : pattern[32,48]
  %81 = state {name = "bert.encoder.layer.0.output.dense.weight"}        : f32[nnz(%80)]
  %82 = state {name = "bert.encoder.layer.0.output.dense.bias"}          : f32[32]
  %83 = state {frozen = true, name = "bert.encoder.layer.0.output.dense.input_range"} : f32[2]
  %84 = observe_range %79, %83, %24 {begin = 3}                          : f32[2]
  %85 = fake_quantize %79, %84, %24 {begin = 3}                          : f32[B*S,48]
  %86 = state {frozen = true, name = "bert.encoder.layer.0.output.dense.weight_range"} : f32[2]
  %87 = observe_range %81, %86, %24 {averaging = 0, begin = 3}           : f32[2]
  %88 = fake_quantize %81, %87, %24 {begin = 3, scheme = "symmetric"}    : f32[nnz(%80)]
  %89 = linear %85, %88, %82, %80                                        : f32[B*S,32]
  %90 = add %89, %65                                                     : f32[B*S,32]
  scope "encoder.layer.0.output.LayerNorm"
  %91 = state {name = "bert.encoder.layer.0.output.LayerNorm.weight"}    : f32[32]
  %92 = state {name = "bert.encoder.layer.0.output.LayerNorm.bias"}      : f32[32]
  %93:3 = layer_norm %90, %91, %92 {eps = 1e-12}                         : f32[B*S,32], f32[B*S], f32[B*S]
  %94 = first_rows %3                                                    : i32[B]
  %95 = gather_rows %93, %94                                             : f32[B,32]
  scope "pooler.dense"
  %96 = pattern {name = "bert.pooler.dense.weight"}                      : pattern[32,32]
  %97 = state {name = "bert.pooler.dense.weight"}                        : f32[nnz(%96)]
  %98 = state {name = "bert.pooler.dense.bias"}                          : f32[32]
  %99 = state {frozen = true, name = "bert.pooler.dense.input_range"}    : f32[2]
  %100 = observe_range %95, %99, %24 {begin = 3}                         : f32[2]
  %101 = fake_quantize %95, %100, %24 {begin = 3}                        : f32[B,32]
  %102 = state {frozen = true, name = "bert.pooler.dense.weight_range"}  : f32[2]
  %103 = observe_range %97, %102, %24 {averaging = 0, begin = 3}         : f32[2]
  %104 = fake_quantize %97, %103, %24 {begin = 3, scheme = "symmetric"}  : f32[nnz(%96)]
  %105 = linear %101, %104, %98, %96                                     : f32[B,32]
  %106 = state {frozen = true, name = "bert.pooler.dense.output_range"}  : f32[2]
  %107 = observe_range %105, %106, %24 {begin = 3}                       : f32[2]
  %108 = fake_quantize %105, %107, %24 {begin = 3}                       : f32[B,32]
  %109 = tanh %108                                                       : f32[B,32]
  scope "classifier"
  %110 = state {name = "classifier.weight"}                              : f32[2,32]
  %111 = state {name = "classifier.bias"}                                : f32[2]
  %112 = state {frozen = true, name = "classifier.input_range"}          : f32[2]
  %113 = observe_range %109, %112, %24 {begin = 3}                       : f32[2]
  %114 = fake_quantize %109, %113, %24 {begin = 3}                       : f32[B,32]
  %115 = state {frozen = true, name = "classifier.weight_range"}         : f32[2]
  %116 = observe_range %110, %115, %24 {averaging = 0, begin = 3}        : f32[2]
  %117 = fake_quantize %110, %116, %24 {begin = 3, scheme = "symmetric"} : f32[2,32]
  %118 = linear %114, %117, %111                                         : f32[B,2]
  scope "loss"
  %119 = input {name = "labels"}                                         : i64[B]
  %120 = cross_entropy %118, %119 {reduction = "sum"}                    : f32[]
  %121 = input {name = "scale.labels"}                                   : f32[]
  %122 = mul %120, %121                                                  : f32[]
  scope "teacher.embeddings"
  %123 = reshape %1                                                      : i64[B*S]
  %124 = padded_offsets %1                                               : i32[B+1]
  %125 = reshape %4                                                      : i64[B*S]
  %126 = row_positions %124, %125                                        : i32[B*S]
  scope "teacher.embeddings.word_embeddings"
  %127 = state {frozen = true, name = "teacher.bert.embeddings.word_embeddings.weight"} : f32[33,32]
  %128 = embedding %127, %125                                            : f32[B*S,32]
  scope "teacher.embeddings.position_embeddings"
  %129 = state {frozen = true, name = "teacher.bert.embeddings.position_embeddings.weight"} : f32[24,32]
  %130 = embedding %129, %126                                            : f32[B*S,32]
  scope "teacher.embeddings.token_type_embeddings"
  %131 = reshape %11                                                     : i64[B*S]
  %132 = state {frozen = true, name = "teacher.bert.embeddings.token_type_embeddings.weight"} : f32[2,32]
  %133 = embedding %132, %131                                            : f32[B*S,32]
  %134 = add %128, %133                                                  : f32[B*S,32]
  %135 = add %134, %130                                                  : f32[B*S,32]
  scope "teacher.embeddings.LayerNorm"
  %136 = state {frozen = true, name = "teacher.bert.embeddings.LayerNorm.weight"} : f32[32]
  %137 = state {frozen = true, name = "teacher.bert.embeddings.LayerNorm.bias"} : f32[32]
  %138:3 = layer_norm %135, %136, %137 {eps = 1e-12}                     : f32[B*S,32], f32[B*S], f32[B*S]
  scope "teacher.encoder.layer.0.attention.self.query"
  %139 = pattern {name = "teacher.bert.encoder.layer.0.attention.self.query.weight"} : pattern[32,32]
  %140 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.query.weight"} : f32[nnz(%139)]
  %141 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.query.bias"} : f32[32]
  %142 = linear %138, %140, %141, %139                                   : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.self.key"
  %143 = pattern {name = "teacher.bert.encoder.layer.0.attention.self.key.weight"} : pattern[32,32]
  %144 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.key.weight"} : f32[nnz(%143)]
  %145 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.key.bias"} : f32[32]
  %146 = linear %138, %144, %145, %143                                   : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.self.value"
  %147 = pattern {name = "teacher.bert.encoder.layer.0.attention.self.value.weight"} : pattern[32,32]
  %148 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.value.weight"} : f32[nnz(%147)]
  %149 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.self.value.bias"} : f32[32]
  %150 = linear %138, %148, %149, %147                                   : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.self"
  %151:2 = attention %142, %146, %150, %124, %123 {heads = 2, scale = 0.25} : f32[B*S,32], f32[B*S,2]
  scope "teacher.encoder.layer.0.attention.output.dense"
  %152 = pattern {name = "teacher.bert.encoder.layer.0.attention.output.dense.weight"} : pattern[32,32]
  %153 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.dense.weight"} : f32[nnz(%152)]
  %154 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.dense.bias"} : f32[32]
  %155 = linear %151, %153, %154, %152                                   : f32[B*S,32]
  %156 = add %155, %138                                                  : f32[B*S,32]
  scope "teacher.encoder.layer.0.attention.output.LayerNorm"
  %157 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.LayerNorm.weight"} : f32[32]
  %158 = state {frozen = true, name = "teacher.bert.encoder.layer.0.attention.output.LayerNorm.bias"} : f32[32]
  %159:3 = layer_norm %156, %157, %158 {eps = 1e-12}                     : f32[B*S,32], f32[B*S], f32[B*S]
  scope "teacher.encoder.layer.0.intermediate.dense"
  %160 = pattern {name = "teacher.bert.encoder.layer.0.intermediate.dense.weight"} : pattern[48,32]
  %161 = state {frozen = true, name = "teacher.bert.encoder.layer.0.intermediate.dense.weight"} : f32[nnz(%160)]
  %162 = state {frozen = true, name = "teacher.bert.encoder.layer.0.intermediate.dense.bias"} : f32[48]
  %163 = linear %159, %161, %162, %160                                   : f32[B*S,48]
  %164 = gelu %163                                                       : f32[B*S,48]
  scope "teacher.encoder.layer.0.output.dense"
  %165 = pattern {name = "teacher.bert.encoder.layer.0.output.dense.weight"} : pattern[32,48]
  %166 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.dense.weight"} : f32[nnz(%165)]
  %167 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.dense.bias"} : f32[32]
  %168 = linear %164, %166, %167, %165                                   : f32[B*S,32]
  %169 = add %168, %159                                                  : f32[B*S,32]
  scope "teacher.encoder.layer.0.output.LayerNorm"
  %170 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.LayerNorm.weight"} : f32[32]
  %171 = state {frozen = true, name = "teacher.bert.encoder.layer.0.output.LayerNorm.bias"} : f32[32]
  %172:3 = layer_norm %169, %170, %171 {eps = 1e-12}                     : f32[B*S,32], f32[B*S], f32[B*S]
  %173 = first_rows %124                                                 : i32[B]
  %174 = gather_rows %172, %173                                          : f32[B,32]
  scope "teacher.pooler.dense"
  %175 = pattern {name = "teacher.bert.pooler.dense.weight"}             : pattern[32,32]
  %176 = state {frozen = true, name = "teacher.bert.pooler.dense.weight"} : f32[nnz(%175)]
  %177 = state {frozen = true, name = "teacher.bert.pooler.dense.bias"}  : f32[32]
  %178 = linear %174, %176, %177, %175                                   : f32[B,32]
  %179 = tanh %178                                                       : f32[B,32]
  scope "teacher.classifier"
  %180 = state {frozen = true, name = "teacher.classifier.weight"}       : f32[2,32]
  %181 = state {frozen = true, name = "teacher.classifier.bias"}         : f32[2]
  %182 = linear %179, %180, %181                                         : f32[B,2]
  scope "loss"
  %183 = input {name = "scale.distill.logits"}                           : f32[]
  %184 = kl_divergence %118, %182, _, %183 {temperature = 2}             : f32[]
  %185 = constant {value = [0.5]}                                        : f32[]
  %186 = mul %122, %185                                                  : f32[]
  %187 = constant {value = [0.5]}                                        : f32[]
  %188 = mul %184, %187                                                  : f32[]
  %189 = add %186, %188                                                  : f32[]
  return "bert.encoder.layer.0.attention.self.query.input_range" = %25,
         "bert.encoder.layer.0.attention.self.query.weight_range" = %28,
         "bert.encoder.layer.0.attention.self.query.output_range" = %32,
         "bert.encoder.layer.0.attention.self.key.weight_range" = %38,
         "bert.encoder.layer.0.attention.self.key.output_range" = %42,
         "bert.encoder.layer.0.attention.self.value.weight_range" = %48,
         "bert.encoder.layer.0.attention.output.dense.input_range" = %56,
         "bert.encoder.layer.0.attention.output.dense.weight_range" = %59,
         "bert.encoder.layer.0.intermediate.dense.input_range" = %70,
         "bert.encoder.layer.0.intermediate.dense.weight_range" = %73,
         "bert.encoder.layer.0.intermediate.dense.output_range" = %77,
         "bert.encoder.layer.0.output.dense.input_range" = %84,
         "bert.encoder.layer.0.output.dense.weight_range" = %87,
         "bert.pooler.dense.input_range" = %100,
         "bert.pooler.dense.weight_range" = %103,
         "bert.pooler.dense.output_range" = %107,
         "classifier.input_range" = %113,
         "classifier.weight_range" = %116,
         "loss" = %189,
         "loss.task" = %122,
         "loss.distill" = %184,
         "loss.labels" = %122
}

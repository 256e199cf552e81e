graph @infer (B <= 65536, S <= 32) {
  scope "embeddings"
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = reshape %1 {slot = [0]}                                           : i64[B*S]
  %3 = padded_offsets %1 {slot = [1]}                                    : i32[B+1]
  %4 = input {name = "input_ids"}                                        : i64[B,S]
  %5 = reshape %4 {slot = [2]}                                           : i64[B*S]
  %6 = row_positions %3, %5 {slot = [3]}                                 : i32[B*S]
  scope "embeddings.word_embeddings"
  %7 = state {name = "distilbert.embeddings.word_embeddings.weight"}     : f32[50,8]
  %8 = embedding %7, %5 {group = 1}                                      : f32[B*S,8]
  scope "embeddings.position_embeddings"
  %9 = state {name = "distilbert.embeddings.position_embeddings.weight"} : f32[32,8]
  %10 = embedding %9, %6 {group = 1}                                     : f32[B*S,8]
  %11 = add %8, %10 {group = 1}                                          : f32[B*S,8]
  scope "embeddings.LayerNorm"
  %12 = state {name = "distilbert.embeddings.LayerNorm.weight"}          : f32[8]
  %13 = state {name = "distilbert.embeddings.LayerNorm.bias"}            : f32[8]
  %14 = relayout %11 {group = 1}                                         : f32[B*S,8] tiles<32>
  %15:3 = layer_norm %14, %12, %13 {eps = 1e-12, group = 1, slot = [4, -1, -1]} : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  scope "transformer.layer.0.attention.q_lin"
  %16 = state {name = "distilbert.transformer.layer.0.attention.q_lin.weight"} : f32[8,8]
  %17 = state {name = "distilbert.transformer.layer.0.attention.q_lin.bias"} : f32[8]
  %18 = linear %15, %16, %17 {slot = [5]}                                : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.attention.k_lin"
  %19 = state {name = "distilbert.transformer.layer.0.attention.k_lin.weight"} : f32[8,8]
  %20 = state {name = "distilbert.transformer.layer.0.attention.k_lin.bias"} : f32[8]
  %21 = linear %15, %19, %20 {slot = [6]}                                : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.attention.v_lin"
  %22 = state {name = "distilbert.transformer.layer.0.attention.v_lin.weight"} : f32[8,8]
  %23 = state {name = "distilbert.transformer.layer.0.attention.v_lin.bias"} : f32[8]
  %24 = linear %15, %22, %23 {slot = [7]}                                : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.attention"
  %25:2 = attention %18, %21, %24, %3, %2 {heads = 2, scale = 0.5, slot = [8, -1]} : f32[B*S,8] tiles<32>, f32[B*S,2] tiles<32>
  scope "transformer.layer.0.attention.out_lin"
  %26 = state {name = "distilbert.transformer.layer.0.attention.out_lin.weight"} : f32[8,8]
  %27 = state {name = "distilbert.transformer.layer.0.attention.out_lin.bias"} : f32[8]
  %28 = linear %25, %26, %27 {group = 2}                                 : f32[B*S,8] tiles<32>
  %29 = add %15, %28 {group = 2, slot = [5]}                             : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.sa_layer_norm"
  %30 = state {name = "distilbert.transformer.layer.0.sa_layer_norm.weight"} : f32[8]
  %31 = state {name = "distilbert.transformer.layer.0.sa_layer_norm.bias"} : f32[8]
  %32:3 = layer_norm %29, %30, %31 {eps = 1e-12, slot = [4, -1, -1]}     : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  scope "transformer.layer.0.ffn.lin1"
  %33 = state {name = "distilbert.transformer.layer.0.ffn.lin1.weight"}  : f32[16,8]
  %34 = state {name = "distilbert.transformer.layer.0.ffn.lin1.bias"}    : f32[16]
  %35 = linear %32, %33, %34 {group = 3}                                 : f32[B*S,16] tiles<32>
  %36 = gelu %35 {group = 3, slot = [9]}                                 : f32[B*S,16] tiles<32>
  scope "transformer.layer.0.ffn.lin2"
  %37 = state {name = "distilbert.transformer.layer.0.ffn.lin2.weight"}  : f32[8,16]
  %38 = state {name = "distilbert.transformer.layer.0.ffn.lin2.bias"}    : f32[8]
  %39 = linear %36, %37, %38 {group = 4}                                 : f32[B*S,8] tiles<32>
  %40 = add %32, %39 {group = 4, slot = [5]}                             : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.output_layer_norm"
  %41 = state {name = "distilbert.transformer.layer.0.output_layer_norm.weight"} : f32[8]
  %42 = state {name = "distilbert.transformer.layer.0.output_layer_norm.bias"} : f32[8]
  %43:3 = layer_norm %40, %41, %42 {eps = 1e-12, slot = [4, -1, -1]}     : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  scope "qa_outputs"
  %44 = state {name = "qa_outputs.weight"}                               : f32[2,8]
  %45 = state {name = "qa_outputs.bias"}                                 : f32[2]
  %46 = linear %43, %44, %45 {slot = [10]}                               : f32[B*S,2] tiles<32>
  %47 = relayout %46 {slot = [0]}                                        : f32[B*S,2]
  %48 = slice %47 {begin = 0, end = 1, slot = [3]}                       : f32[B*S,1]
  %49 = reshape %48 {slot = [3]}                                         : f32[B,S]
  scope "loss"
  %50 = input {name = "start_positions"}                                 : i64[B]
  %51 = cross_entropy %49, %50 {labels = "clamp", slot = [1]}            : f32[]
  scope "qa_outputs"
  %52 = slice %47 {begin = 1, end = 2, slot = [2]}                       : f32[B*S,1]
  %53 = reshape %52 {slot = [2]}                                         : f32[B,S]
  scope "loss"
  %54 = input {name = "end_positions"}                                   : i64[B]
  %55 = cross_entropy %53, %54 {labels = "clamp", slot = [0]}            : f32[]
  return "start_logits" = %49,
         "loss.start_positions" = %51,
         "end_logits" = %53,
         "loss.end_positions" = %55
}

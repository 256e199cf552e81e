; DistilBERT of one layer that answers questions, with its loss.
graph @infer (B <= 65536, S <= 32) {
  scope "embeddings"
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = reshape %1                                                        : i64[B*S]
  %3 = padded_offsets %1                                                 : i32[B+1]
  %4 = input {name = "input_ids"}                                        : i64[B,S]
  %5 = reshape %4                                                        : i64[B*S]
  %6 = row_positions %3, %5                                              : i32[B*S]
  scope "embeddings.word_embeddings"
  %7 = state {name = "distilbert.embeddings.word_embeddings.weight"}     : f32[50,8]
  %8 = embedding %7, %5                                                  : f32[B*S,8]
  scope "embeddings.position_embeddings"
  %9 = state {name = "distilbert.embeddings.position_embeddings.weight"} : f32[32,8]
  %10 = embedding %9, %6                                                 : f32[B*S,8]
  %11 = add %8, %10                                                      : f32[B*S,8]
  scope "embeddings.LayerNorm"
  %12 = state {name = "distilbert.embeddings.LayerNorm.weight"}          : f32[8]
  %13 = state {name = "distilbert.embeddings.LayerNorm.bias"}            : f32[8]
  %14:3 = layer_norm %11, %12, %13 {eps = 1e-12}                         : f32[B*S,8], f32[B*S], f32[B*S]
  scope "transformer.layer.0.attention.q_lin"
  %15 = state {name = "distilbert.transformer.layer.0.attention.q_lin.weight"} : f32[8,8]
  %16 = state {name = "distilbert.transformer.layer.0.attention.q_lin.bias"} : f32[8]
  %17 = linear %14, %15, %16                                             : f32[B*S,8]
  scope "transformer.layer.0.attention.k_lin"
  %18 = state {name = "distilbert.transformer.layer.0.attention.k_lin.weight"} : f32[8,8]
  %19 = state {name = "distilbert.transformer.layer.0.attention.k_lin.bias"} : f32[8]
  %20 = linear %14, %18, %19                                             : f32[B*S,8]
  scope "transformer.layer.0.attention.v_lin"
  %21 = state {name = "distilbert.transformer.layer.0.attention.v_lin.weight"} : f32[8,8]
  %22 = state {name = "distilbert.transformer.layer.0.attention.v_lin.bias"} : f32[8]
  %23 = linear %14, %21, %22                                             : f32[B*S,8]
  scope "transformer.layer.0.attention"
  %24:2 = attention %17, %20, %23, %3, %2 {heads = 2, scale = 0.5}       : f32[B*S,8], f32[B*S,2]
  scope "transformer.layer.0.attention.out_lin"
  %25 = state {name = "distilbert.transformer.layer.0.attention.out_lin.weight"} : f32[8,8]
  %26 = state {name = "distilbert.transformer.layer.0.attention.out_lin.bias"} : f32[8]
  %27 = linear %24, %25, %26                                             : f32[B*S,8]
  %28 = add %27, %14                                                     : f32[B*S,8]
  scope "transformer.layer.0.sa_layer_norm"
  %29 = state {name = "distilbert.transformer.layer.0.sa_layer_norm.weight"} : f32[8]
  %30 = state {name = "distilbert.transformer.layer.0.sa_layer_norm.bias"} : f32[8]
  %31:3 = layer_norm %28, %29, %30 {eps = 1e-12}                         : f32[B*S,8], f32[B*S], f32[B*S]
  scope "transformer.layer.0.ffn.lin1"
  %32 = state {name = "distilbert.transformer.layer.0.ffn.lin1.weight"}  : f32[16,8]
  %33 = state {name = "distilbert.transformer.layer.0.ffn.lin1.bias"}    : f32[16]
  %34 = linear %31, %32, %33                                             : f32[B*S,16]
  %35 = gelu %34                                                         : f32[B*S,16]
  scope "transformer.layer.0.ffn.lin2"
  %36 = state {name = "distilbert.transformer.layer.0.ffn.lin2.weight"}  : f32[8,16]
  %37 = state {name = "distilbert.transformer.layer.0.ffn.lin2.bias"}    : f32[8]
  %38 = linear %35, %36, %37                                             : f32[B*S,8]
  %39 = add %38, %31                                                     : f32[B*S,8]
  scope "transformer.layer.0.output_layer_norm"
  %40 = state {name = "distilbert.transformer.layer.0.output_layer_norm.weight"} : f32[8]
  %41 = state {name = "distilbert.transformer.layer.0.output_layer_norm.bias"} : f32[8]
  %42:3 = layer_norm %39, %40, %41 {eps = 1e-12}                         : f32[B*S,8], f32[B*S], f32[B*S]
  scope "qa_outputs"
  %43 = state {name = "qa_outputs.weight"}                               : f32[2,8]
  %44 = state {name = "qa_outputs.bias"}                                 : f32[2]
  %45 = linear %42, %43, %44                                             : f32[B*S,2]
  %46 = slice %45 {begin = 0, end = 1}                                   : f32[B*S,1]
  %47 = reshape %46                                                      : f32[B,S]
  scope "loss"
  %48 = input {name = "start_positions"}                                 : i64[B]
  %49 = cross_entropy %47, %48 {labels = "clamp"}                        : f32[]
  scope "qa_outputs"
  %50 = slice %45 {begin = 1, end = 2}                                   : f32[B*S,1]
  %51 = reshape %50                                                      : f32[B,S]
  scope "loss"
  %52 = input {name = "end_positions"}                                   : i64[B]
  %53 = cross_entropy %51, %52 {labels = "clamp"}                        : f32[]
  return "start_logits" = %47,
         "loss.start_positions" = %49,
         "end_logits" = %51,
         "loss.end_positions" = %53
}

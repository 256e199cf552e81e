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
  %18 = state {frozen = true, name = "distilbert.transformer.layer.0.attention.q_lin.input_range"} : f32[2]
  %19 = state {frozen = true, name = "distilbert.transformer.layer.0.attention.q_lin.weight_range"} : f32[2]
  %20 = quantize %15, %18 {slot = [5]}                                   : u8[B*S,8] quads<32>
  %21 = linear_int8 %20, %18, %16, %19, %17 {slot = [6]}                 : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.attention.k_lin"
  %22 = state {name = "distilbert.transformer.layer.0.attention.k_lin.weight"} : f32[8,8]
  %23 = state {name = "distilbert.transformer.layer.0.attention.k_lin.bias"} : f32[8]
  %24 = state {frozen = true, name = "distilbert.transformer.layer.0.attention.k_lin.weight_range"} : f32[2]
  %25 = linear_int8 %20, %18, %22, %24, %23 {slot = [7]}                 : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.attention.v_lin"
  %26 = state {name = "distilbert.transformer.layer.0.attention.v_lin.weight"} : f32[8,8]
  %27 = state {name = "distilbert.transformer.layer.0.attention.v_lin.bias"} : f32[8]
  %28 = state {frozen = true, name = "distilbert.transformer.layer.0.attention.v_lin.weight_range"} : f32[2]
  %29 = linear_int8 %20, %18, %26, %28, %27 {slot = [8]}                 : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.attention"
  %30:2 = attention %21, %25, %29, %3, %2 {heads = 2, scale = 0.5, slot = [9, -1]} : f32[B*S,8] tiles<32>, f32[B*S,2] tiles<32>
  scope "transformer.layer.0.attention.out_lin"
  %31 = state {name = "distilbert.transformer.layer.0.attention.out_lin.weight"} : f32[8,8]
  %32 = state {name = "distilbert.transformer.layer.0.attention.out_lin.bias"} : f32[8]
  %33 = state {frozen = true, name = "distilbert.transformer.layer.0.attention.out_lin.input_range"} : f32[2]
  %34 = state {frozen = true, name = "distilbert.transformer.layer.0.attention.out_lin.weight_range"} : f32[2]
  %35 = quantize %30, %33 {slot = [5]}                                   : u8[B*S,8] quads<32>
  %36 = linear_int8 %35, %33, %31, %34, %32 {group = 2}                  : f32[B*S,8] tiles<32>
  %37 = add %15, %36 {group = 2, slot = [9]}                             : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.sa_layer_norm"
  %38 = state {name = "distilbert.transformer.layer.0.sa_layer_norm.weight"} : f32[8]
  %39 = state {name = "distilbert.transformer.layer.0.sa_layer_norm.bias"} : f32[8]
  %40:3 = layer_norm %37, %38, %39 {eps = 1e-12, slot = [4, -1, -1]}     : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  scope "transformer.layer.0.ffn.lin1"
  %41 = state {name = "distilbert.transformer.layer.0.ffn.lin1.weight"}  : f32[16,8]
  %42 = state {name = "distilbert.transformer.layer.0.ffn.lin1.bias"}    : f32[16]
  %43 = state {frozen = true, name = "distilbert.transformer.layer.0.ffn.lin1.input_range"} : f32[2]
  %44 = state {frozen = true, name = "distilbert.transformer.layer.0.ffn.lin1.weight_range"} : f32[2]
  %45 = quantize %40, %43 {slot = [5]}                                   : u8[B*S,8] quads<32>
  %46 = linear_int8 %45, %43, %41, %44, %42 {group = 3}                  : f32[B*S,16] tiles<32>
  %47 = gelu %46 {group = 3}                                             : f32[B*S,16] tiles<32>
  scope "transformer.layer.0.ffn.lin2"
  %48 = state {name = "distilbert.transformer.layer.0.ffn.lin2.weight"}  : f32[8,16]
  %49 = state {name = "distilbert.transformer.layer.0.ffn.lin2.bias"}    : f32[8]
  %50 = state {frozen = true, name = "distilbert.transformer.layer.0.ffn.lin2.input_range"} : f32[2]
  %51 = state {frozen = true, name = "distilbert.transformer.layer.0.ffn.lin2.weight_range"} : f32[2]
  %52 = quantize %47, %50 {group = 3, slot = [10]}                       : u8[B*S,16] quads<32>
  %53 = linear_int8 %52, %50, %48, %51, %49 {group = 4}                  : f32[B*S,8] tiles<32>
  %54 = add %40, %53 {group = 4, slot = [9]}                             : f32[B*S,8] tiles<32>
  scope "transformer.layer.0.output_layer_norm"
  %55 = state {name = "distilbert.transformer.layer.0.output_layer_norm.weight"} : f32[8]
  %56 = state {name = "distilbert.transformer.layer.0.output_layer_norm.bias"} : f32[8]
  %57:3 = layer_norm %54, %55, %56 {eps = 1e-12, slot = [4, -1, -1]}     : f32[B*S,8] tiles<32>, f32[B*S], f32[B*S]
  scope "qa_outputs"
  %58 = state {name = "qa_outputs.weight"}                               : f32[2,8]
  %59 = state {name = "qa_outputs.bias"}                                 : f32[2]
  %60 = state {frozen = true, name = "qa_outputs.input_range"}           : f32[2]
  %61 = state {frozen = true, name = "qa_outputs.weight_range"}          : f32[2]
  %62 = quantize %57, %60 {slot = [5]}                                   : u8[B*S,8] quads<32>
  %63 = linear_int8 %62, %60, %58, %61, %59 {slot = [11]}                : f32[B*S,2] tiles<32>
  %64 = relayout %63 {slot = [0]}                                        : f32[B*S,2]
  %65 = slice %64 {begin = 0, end = 1, slot = [3]}                       : f32[B*S,1]
  %66 = reshape %65 {slot = [3]}                                         : f32[B,S]
  scope "loss"
  %67 = input {name = "start_positions"}                                 : i64[B]
  %68 = cross_entropy %66, %67 {labels = "clamp", slot = [1]}            : f32[]
  scope "qa_outputs"
  %69 = slice %64 {begin = 1, end = 2, slot = [2]}                       : f32[B*S,1]
  %70 = reshape %69 {slot = [2]}                                         : f32[B,S]
  scope "loss"
  %71 = input {name = "end_positions"}                                   : i64[B]
  %72 = cross_entropy %70, %71 {labels = "clamp", slot = [0]}            : f32[]
  return "start_logits" = %66,
         "loss.start_positions" = %68,
         "end_logits" = %70,
         "loss.end_positions" = %72
}

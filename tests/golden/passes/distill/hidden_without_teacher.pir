; pipeline: distill{hidden=tinybert}
graph @step (B <= 8, S <= 16) {
  %1 = input {name = "attention_mask"} : i64[B,S]
  %2 = input {name = "labels"} : i64[B]
  %3 = input {name = "scale.labels"} : f32[]
  %4 = reshape %1 : i64[B*S]
  %5 = padded_offsets %1 : i32[B+1]
  %6 = input {name = "x"} : f32[B*S,4]
  %7 = state {name = "embedding"} : f32[4,4]
  %8 = linear %6, %7 : f32[B*S,4]
  %9 = state {name = "query"} : f32[4,4]
  %10 = linear %8, %9 : f32[B*S,4]
  %11:2 = attention %10, %8, %8, %5, %4 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %12 = add %11, %8 : f32[B*S,4]
  %13 = first_rows %5 : i32[B]
  %14 = gather_rows %12, %13 : f32[B,4]
  %15 = state {name = "classifier"} : f32[3,4]
  %16 = linear %14, %15 : f32[B,3]
  %17 = reshape %8 : f32[B,S,4]
  %18 = reshape %12 : f32[B,S,4]
  scope "loss"
  %19 = cross_entropy %16, %2 {reduction = "sum"} : f32[]
  %20 = mul %19, %3 : f32[]
  return "logits" = %16, "loss.labels" = %20, "loss" = %20, "hidden_states.0" = %17, "hidden_states.1" = %18, "last_hidden_state" = %18
}

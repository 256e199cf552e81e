; pipeline: distill{top_k=3}
graph @step (B <= 64, S <= 32) {
  %1 = input {name = "attention_mask"} : i64[B,S]
  %2 = input {name = "x"} : f32[B,S,8]
  %3 = input {name = "labels"} : i64[B,S]
  %4 = input {name = "scale.labels"} : f32[]
  %5 = reshape %2 : f32[B*S,8]
  scope "classifier"
  %6 = state {name = "classifier.weight"} : f32[3,8]
  %7 = linear %5, %6 : f32[B*S,3]
  %8 = reshape %7 : f32[B,S,3]
  scope "loss"
  %9 = reshape %3 : i64[B*S]
  %10 = cross_entropy %7, %9 {reduction = "sum"} : f32[]
  %11 = mul %10, %4 : f32[]
  return "logits" = %8, "loss.labels" = %11, "loss" = %11
}

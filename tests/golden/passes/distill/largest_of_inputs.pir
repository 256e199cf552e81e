; pipeline: distill{task_alpha=0.5,teacher_alpha=0.5,temperature=2,top_k=4}
graph @step (B <= 64, S <= 32) {
  %1 = input {name = "attention_mask"} : i64[B,S]
  %2 = input {name = "x"} : f32[B,S,8]
  %3 = input {name = "labels"} : i64[B,S]
  %4 = input {name = "scale.labels"} : f32[]
  %5 = reshape %2 : f32[B*S,8]
  scope "decoder"
  %6 = state {name = "decoder.weight"} : f32[30,8]
  %7 = state {name = "decoder.bias"} : f32[30]
  %8 = linear %5, %6, %7 : f32[B*S,30]
  %9 = reshape %8 : f32[B,S,30]
  scope "loss"
  %10 = reshape %3 : i64[B*S]
  %11 = cross_entropy %8, %10 {reduction = "sum"} : f32[]
  %12 = mul %11, %4 : f32[]
  return "prediction_logits" = %9, "loss.labels" = %12, "loss" = %12
}

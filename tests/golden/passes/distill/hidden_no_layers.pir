; pipeline: distill{hidden=tinybert}
graph @step (B <= 64) {
  %1 = input {name = "x"} : f32[B,8]
  %2 = input {name = "labels"} : i64[B]
  %3 = input {name = "scale.labels"} : f32[]
  scope "classifier"
  %4 = state {name = "classifier.weight"} : f32[3,8]
  %5 = state {name = "classifier.bias"} : f32[3]
  %6 = linear %1, %4, %5 : f32[B,3]
  scope "loss"
  %7 = cross_entropy %6, %2 {reduction = "sum"} : f32[]
  %8 = mul %7, %3 : f32[]
  return "logits" = %6, "loss.labels" = %8, "loss" = %8
}

graph @teacher (B <= 64) {
  %1 = input {name = "x"} : f32[B,8]
  scope "dense"
  %2 = state {name = "dense.weight"} : f32[8,8]
  %3 = linear %1, %2 : f32[B,8]
  %4 = tanh %3 : f32[B,8]
  scope "classifier"
  %5 = state {name = "classifier.weight"} : f32[3,8]
  %6 = state {name = "classifier.bias"} : f32[3]
  %7 = linear %4, %5, %6 : f32[B,3]
  scope "pooler"
  %8 = state {name = "pooler.weight"} : f32[8,8]
  %9 = linear %4, %8 : f32[B,8]
  return "logits" = %7, "pooler_output" = %9
}

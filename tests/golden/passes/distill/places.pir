graph @step (B <= 64, S <= 32) {
  %1 = input {name = "attention_mask"} : i64[B,S]
  %2 = input {name = "x"} : f32[B,S,8]
  %3 = input {name = "start_positions"} : i64[B]
  %4 = input {name = "end_positions"} : i64[B]
  %5 = reshape %2 : f32[B*S,8]
  scope "qa_outputs"
  %6 = state {name = "qa_outputs.weight"} : f32[2,8]
  %7 = linear %5, %6 : f32[B*S,2]
  %8 = slice %7 {begin = 0, end = 1} : f32[B*S,1]
  %9 = reshape %8 : f32[B,S]
  %10 = slice %7 {begin = 1, end = 2} : f32[B*S,1]
  %11 = reshape %10 : f32[B,S]
  scope "loss"
  %12 = cross_entropy %9, %3, %1 {labels = "clamp", reduction = "sum"} : f32[]
  %13 = cross_entropy %11, %4, %1 {labels = "clamp", reduction = "sum"} : f32[]
  %14 = add %12, %13 : f32[]
  return "start_logits" = %9, "end_logits" = %11, "loss.start_positions" = %12, "loss.end_positions" = %13, "loss" = %14
}

graph @teacher (B <= 64, S <= 32) {
  %1 = input {name = "attention_mask"} : i64[B,S]
  %2 = input {name = "x"} : f32[B,S,8]
  %3 = reshape %2 : f32[B*S,8]
  %4 = state {name = "qa_outputs.weight"} : f32[2,8]
  %5 = linear %3, %4 : f32[B*S,2]
  %6 = slice %5 {begin = 0, end = 1} : f32[B*S,1]
  %7 = reshape %6 : f32[B,S]
  %8 = slice %5 {begin = 1, end = 2} : f32[B*S,1]
  %9 = reshape %8 : f32[B,S]
  return "start_logits" = %7, "end_logits" = %9
}

graph @step (B <= 64, S <= 32) {
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = input {name = "x"}                                                : f32[B,S,8]
  %3 = input {name = "labels"}                                           : i64[B,S]
  %4 = input {name = "scale.labels"}                                     : f32[]
  %5 = reshape %2                                                        : f32[B*S,8]
  scope "decoder"
  %6 = state {name = "decoder.weight"}                                   : f32[30,8]
  %7 = state {name = "decoder.bias"}                                     : f32[30]
  %8 = linear %5, %6, %7                                                 : f32[B*S,30]
  scope "loss"
  %9 = reshape %3                                                        : i64[B*S]
  %10 = cross_entropy %8, %9 {reduction = "sum"}                         : f32[]
  %11 = mul %10, %4                                                      : f32[]
  %12 = reshape %1                                                       : i64[B*S]
  %13 = input {name = "teacher_ids.prediction_logits"}                   : i32[B,S,4]
  %14 = reshape %13                                                      : i32[B*S,4]
  %15 = input {name = "teacher_logits.prediction_logits"}                : f32[B,S,4]
  %16 = reshape %15                                                      : f32[B*S,4]
  %17 = input {name = "scale.distill.prediction_logits"}                 : f32[]
  %18:4 = linear_soft_cross_entropy %5, %6, %14, %16, %7, %12, %17 {temperature = 2} : f32[], f32[B*S,8], f32[30,8], f32[30]
  %19 = constant {value = [0.5]}                                         : f32[]
  %20 = mul %11, %19                                                     : f32[]
  %21 = constant {value = [0.5]}                                         : f32[]
  %22 = mul %18, %21                                                     : f32[]
  %23 = add %20, %22                                                     : f32[]
  return "loss" = %23,
         "loss.task" = %11,
         "loss.distill" = %18,
         "loss.labels" = %11
}

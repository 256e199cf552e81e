graph @step (B <= 64, S <= 32) {
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = input {name = "x"}                                                : f32[B,S,8]
  %3 = input {name = "labels"}                                           : i64[B,S]
  %4 = input {name = "scale.labels"}                                     : f32[]
  %5 = reshape %2                                                        : f32[B*S,8]
  scope "classifier"
  %6 = state {name = "classifier.weight"}                                : f32[3,8]
  %7 = linear %5, %6                                                     : f32[B*S,3]
  scope "loss"
  %8 = reshape %3                                                        : i64[B*S]
  %9 = cross_entropy %7, %8 {reduction = "sum"}                          : f32[]
  %10 = mul %9, %4                                                       : f32[]
  %11 = reshape %1                                                       : i64[B*S]
  %12 = input {name = "teacher_logits.logits"}                           : f32[B,S,3]
  %13 = reshape %12                                                      : f32[B*S,3]
  %14 = input {name = "scale.distill.logits"}                            : f32[]
  %15 = kl_divergence %7, %13, %11, %14 {temperature = 4}                : f32[]
  return "loss" = %15,
         "loss.task" = %10,
         "loss.distill" = %15,
         "loss.labels" = %10
}

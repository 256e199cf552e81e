graph @step (B <= 64) {
  %1 = input {name = "x"}                                                : f32[B,8]
  %2 = input {name = "labels"}                                           : i64[B]
  %3 = input {name = "scale.labels"}                                     : f32[]
  scope "classifier"
  %4 = state {name = "classifier.weight"}                                : f32[3,8]
  %5 = state {name = "classifier.bias"}                                  : f32[3]
  %6 = linear %1, %4, %5                                                 : f32[B,3]
  scope "loss"
  %7 = cross_entropy %6, %2 {reduction = "sum"}                          : f32[]
  %8 = mul %7, %3                                                        : f32[]
  scope "teacher.dense"
  %9 = state {frozen = true, name = "teacher.dense.weight"}              : f32[8,8]
  %10 = linear %1, %9                                                    : f32[B,8]
  %11 = tanh %10                                                         : f32[B,8]
  scope "teacher.classifier"
  %12 = state {frozen = true, name = "teacher.classifier.weight"}        : f32[3,8]
  %13 = state {frozen = true, name = "teacher.classifier.bias"}          : f32[3]
  %14 = linear %11, %12, %13                                             : f32[B,3]
  scope "loss"
  %15 = input {name = "scale.distill.logits"}                            : f32[]
  %16 = kl_divergence %6, %14, _, %15 {temperature = 2}                  : f32[]
  %17 = constant {value = [0.5]}                                         : f32[]
  %18 = mul %8, %17                                                      : f32[]
  %19 = constant {value = [0.5]}                                         : f32[]
  %20 = mul %16, %19                                                     : f32[]
  %21 = add %18, %20                                                     : f32[]
  return "loss" = %21,
         "loss.task" = %8,
         "loss.distill" = %16,
         "loss.labels" = %8
}

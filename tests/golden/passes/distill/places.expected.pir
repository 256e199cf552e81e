graph @step (B <= 64, S <= 32) {
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = input {name = "x"}                                                : f32[B,S,8]
  %3 = input {name = "start_positions"}                                  : i64[B]
  %4 = input {name = "end_positions"}                                    : i64[B]
  %5 = reshape %2                                                        : f32[B*S,8]
  scope "qa_outputs"
  %6 = state {name = "qa_outputs.weight"}                                : f32[2,8]
  %7 = linear %5, %6                                                     : f32[B*S,2]
  %8 = slice %7 {begin = 0, end = 1}                                     : f32[B*S,1]
  %9 = reshape %8                                                        : f32[B,S]
  %10 = slice %7 {begin = 1, end = 2}                                    : f32[B*S,1]
  %11 = reshape %10                                                      : f32[B,S]
  scope "loss"
  %12 = cross_entropy %9, %3, %1 {labels = "clamp", reduction = "sum"}   : f32[]
  %13 = cross_entropy %11, %4, %1 {labels = "clamp", reduction = "sum"}  : f32[]
  %14 = add %12, %13                                                     : f32[]
  scope "teacher"
  %15 = reshape %2                                                       : f32[B*S,8]
  %16 = state {frozen = true, name = "teacher.qa_outputs.weight"}        : f32[2,8]
  %17 = linear %15, %16                                                  : f32[B*S,2]
  %18 = slice %17 {begin = 0, end = 1}                                   : f32[B*S,1]
  %19 = reshape %18                                                      : f32[B,S]
  %20 = slice %17 {begin = 1, end = 2}                                   : f32[B*S,1]
  %21 = reshape %20                                                      : f32[B,S]
  scope "loss"
  %22 = input {name = "scale.distill.start_logits"}                      : f32[]
  %23 = kl_divergence %9, %19, %1, %22 {temperature = 2}                 : f32[]
  %24 = constant {value = [0.5]}                                         : f32[]
  %25 = mul %23, %24                                                     : f32[]
  %26 = input {name = "scale.distill.end_logits"}                        : f32[]
  %27 = kl_divergence %11, %21, %1, %26 {temperature = 2}                : f32[]
  %28 = constant {value = [0.5]}                                         : f32[]
  %29 = mul %27, %28                                                     : f32[]
  %30 = add %25, %29                                                     : f32[]
  %31 = constant {value = [0.5]}                                         : f32[]
  %32 = mul %14, %31                                                     : f32[]
  %33 = constant {value = [0.5]}                                         : f32[]
  %34 = mul %30, %33                                                     : f32[]
  %35 = add %32, %34                                                     : f32[]
  return "loss" = %35,
         "loss.task" = %14,
         "loss.distill" = %30,
         "loss.start_positions" = %12,
         "loss.end_positions" = %13
}

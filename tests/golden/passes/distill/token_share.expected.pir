graph @step (B <= 64, S <= 32, D <= 2048) {
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
  scope "teacher"
  %11 = reshape %2                                                       : f32[B*S,8]
  %12 = state {frozen = true, name = "teacher.classifier.weight"}        : f32[3,8]
  %13 = linear %11, %12                                                  : f32[B*S,3]
  scope "loss"
  %14 = reshape %1                                                       : i64[B*S]
  %15 = input {name = "first_example"}                                   : i64[]
  %16 = input {name = "random"}                                          : i64[2]
  %17 = padded_offsets %1                                                : i32[B+1]
  %18 = row_keys %17, %14, %15                                           : i64[B*S]
  %19 = reshape %3                                                       : i64[B*S]
  %20 = sampled_rows %19, %18, %16 {rows = "D", share = 0.25}            : i32[D]
  %21 = gather_rows %14, %20                                             : i64[D]
  %22 = gather_rows %7, %20                                              : f32[D,3]
  %23 = gather_rows %13, %20                                             : f32[D,3]
  %24 = input {name = "scale.distill.logits"}                            : f32[]
  %25 = kl_divergence %22, %23, %21, %24 {temperature = 2}               : f32[]
  %26 = constant {value = [0.5]}                                         : f32[]
  %27 = mul %10, %26                                                     : f32[]
  %28 = constant {value = [0.5]}                                         : f32[]
  %29 = mul %25, %28                                                     : f32[]
  %30 = add %27, %29                                                     : f32[]
  return "loss" = %30,
         "loss.task" = %10,
         "loss.distill" = %25,
         "loss.labels" = %10
}

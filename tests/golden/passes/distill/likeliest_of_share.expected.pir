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
  %11 = reshape %1                                                       : i64[B*S]
  %12 = input {name = "first_example"}                                   : i64[]
  %13 = input {name = "random"}                                          : i64[2]
  %14 = padded_offsets %1                                                : i32[B+1]
  %15 = row_keys %14, %11, %12                                           : i64[B*S]
  %16 = reshape %3                                                       : i64[B*S]
  %17 = sampled_rows %16, %15, %13 {rows = "D", share = 0.5}             : i32[D]
  %18 = gather_rows %11, %17                                             : i64[D]
  %19 = input {name = "teacher_ids.logits"}                              : i32[B,S,2]
  %20 = reshape %19                                                      : i32[B*S,2]
  %21 = input {name = "teacher_logits.logits"}                           : f32[B,S,2]
  %22 = reshape %21                                                      : f32[B*S,2]
  %23 = gather_rows %5, %17                                              : f32[D,8]
  %24 = gather_rows %20, %17                                             : i32[D,2]
  %25 = gather_rows %22, %17                                             : f32[D,2]
  %26 = input {name = "scale.distill.logits"}                            : f32[]
  %27:4 = linear_soft_cross_entropy %23, %6, %24, %25, _, %18, %26 {temperature = 2} : f32[], f32[D,8], f32[3,8], f32[3]
  %28 = constant {value = [0.5]}                                         : f32[]
  %29 = mul %10, %28                                                     : f32[]
  %30 = constant {value = [0.5]}                                         : f32[]
  %31 = mul %27, %30                                                     : f32[]
  %32 = add %29, %31                                                     : f32[]
  return "loss" = %32,
         "loss.task" = %10,
         "loss.distill" = %27,
         "loss.labels" = %10
}

graph @step (B <= 8, S <= 16) {
  %1 = input {name = "attention_mask"}                                   : i64[B,S]
  %2 = input {name = "labels"}                                           : i64[B]
  %3 = input {name = "scale.labels"}                                     : f32[]
  %4 = reshape %1                                                        : i64[B*S]
  %5 = padded_offsets %1                                                 : i32[B+1]
  %6 = input {name = "x"}                                                : f32[B*S,4]
  %7 = state {name = "embedding"}                                        : f32[4,4]
  %8 = linear %6, %7                                                     : f32[B*S,4]
  %9 = state {name = "query"}                                            : f32[4,4]
  %10 = linear %8, %9                                                    : f32[B*S,4]
  %11:2 = attention %10, %8, %8, %5, %4 {heads = 2, scale = 0.5}         : f32[B*S,4], f32[B*S,2]
  %12 = add %11, %8                                                      : f32[B*S,4]
  %13 = first_rows %5                                                    : i32[B]
  %14 = gather_rows %12, %13                                             : f32[B,4]
  %15 = state {name = "classifier"}                                      : f32[3,4]
  %16 = linear %14, %15                                                  : f32[B,3]
  scope "loss"
  %17 = cross_entropy %16, %2 {reduction = "sum"}                        : f32[]
  %18 = mul %17, %3                                                      : f32[]
  scope "teacher"
  %19 = reshape %1                                                       : i64[B*S]
  %20 = padded_offsets %1                                                : i32[B+1]
  %21 = state {frozen = true, name = "teacher.embedding"}                : f32[4,4]
  %22 = linear %6, %21                                                   : f32[B*S,4]
  %23 = state {frozen = true, name = "teacher.query.0"}                  : f32[4,4]
  %24 = linear %22, %23                                                  : f32[B*S,4]
  %25:2 = attention %24, %22, %22, %20, %19 {heads = 2, scale = 0.5}     : f32[B*S,4], f32[B*S,2]
  %26 = add %25, %22                                                     : f32[B*S,4]
  %27 = state {frozen = true, name = "teacher.query.1"}                  : f32[4,4]
  %28 = linear %26, %27                                                  : f32[B*S,4]
  %29:2 = attention %28, %26, %26, %20, %19 {heads = 2, scale = 0.5}     : f32[B*S,4], f32[B*S,2]
  %30 = add %29, %26                                                     : f32[B*S,4]
  %31 = first_rows %20                                                   : i32[B]
  %32 = gather_rows %30, %31                                             : f32[B,4]
  %33 = state {frozen = true, name = "teacher.classifier"}               : f32[3,4]
  %34 = linear %32, %33                                                  : f32[B,3]
  scope "loss"
  %35 = input {name = "scale.distill.logits"}                            : f32[]
  %36 = kl_divergence %16, %34, _, %35 {temperature = 2}                 : f32[]
  %37 = constant {value = [0.5]}                                         : f32[]
  %38 = mul %18, %37                                                     : f32[]
  %39 = constant {value = [0.5]}                                         : f32[]
  %40 = mul %36, %39                                                     : f32[]
  %41 = add %38, %40                                                     : f32[]
  %42 = constant {value = [0]}                                           : f32[]
  return "loss" = %41,
         "loss.task" = %18,
         "loss.distill" = %36,
         "loss.hidden" = %42,
         "loss.labels" = %18
}

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
  %19 = reshape %1                                                       : i64[B*S]
  scope "teacher"
  %20 = reshape %1                                                       : i64[B*S]
  %21 = padded_offsets %1                                                : i32[B+1]
  %22 = state {frozen = true, name = "teacher.embedding"}                : f32[4,4]
  %23 = linear %6, %22                                                   : f32[B*S,4]
  %24 = state {frozen = true, name = "teacher.query.0"}                  : f32[4,4]
  %25 = linear %23, %24                                                  : f32[B*S,4]
  %26:2 = attention %25, %23, %23, %21, %20 {heads = 2, scale = 0.5}     : f32[B*S,4], f32[B*S,2]
  %27 = add %26, %23                                                     : f32[B*S,4]
  %28 = state {frozen = true, name = "teacher.query.1"}                  : f32[4,4]
  %29 = linear %27, %28                                                  : f32[B*S,4]
  %30:2 = attention %29, %27, %27, %21, %20 {heads = 2, scale = 0.5}     : f32[B*S,4], f32[B*S,2]
  %31 = add %30, %27                                                     : f32[B*S,4]
  scope ""
  %32 = input {name = "scale.distill.hidden_states"}                     : f32[]
  %33 = constant {value = [0.25]}                                        : f32[]
  %34 = mul %32, %33                                                     : f32[]
  %35:2 = cosine_distance %12, %31, %19, %34                             : f32[], f32[B*S,4]
  scope "teacher"
  %36 = first_rows %21                                                   : i32[B]
  %37 = gather_rows %31, %36                                             : f32[B,4]
  %38 = state {frozen = true, name = "teacher.classifier"}               : f32[3,4]
  %39 = linear %37, %38                                                  : f32[B,3]
  scope "loss"
  %40 = input {name = "scale.distill.logits"}                            : f32[]
  %41 = kl_divergence %16, %39, _, %40 {temperature = 2}                 : f32[]
  %42 = constant {value = [0.25]}                                        : f32[]
  %43 = mul %18, %42                                                     : f32[]
  %44 = constant {value = [0.5]}                                         : f32[]
  %45 = mul %41, %44                                                     : f32[]
  %46 = add %43, %45                                                     : f32[]
  %47 = add %46, %35                                                     : f32[]
  return "loss" = %47,
         "loss.task" = %18,
         "loss.distill" = %41,
         "loss.hidden" = %35,
         "loss.labels" = %18
}

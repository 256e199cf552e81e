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
  scope ""
  %24 = input {name = "scale.distill.hidden_states"}                     : f32[]
  %25:2 = squared_distance %8, %23, %19, %24                             : f32[], f32[B*S,4]
  scope "teacher"
  %26 = state {frozen = true, name = "teacher.query.0"}                  : f32[4,4]
  %27 = linear %23, %26                                                  : f32[B*S,4]
  %28:2 = attention %27, %23, %23, %21, %20 {heads = 2, scale = 0.5}     : f32[B*S,4], f32[B*S,2]
  scope ""
  %29 = input {name = "scale.distill.padded_attentions"}                 : f32[]
  %30:3 = attention_distance %10, %8, %23, %5, %11#1, %27, %28#1, %19, %29 {heads = 2, queries = "all", scale = 0.5} : f32[], f32[B*S,4], f32[B*S,4]
  scope "loss"
  %31 = add %25, %30                                                     : f32[]
  scope "teacher"
  %32 = add %28, %23                                                     : f32[B*S,4]
  scope ""
  %33:2 = squared_distance %12, %32, %19, %24                            : f32[], f32[B*S,4]
  scope "loss"
  %34 = add %31, %33                                                     : f32[]
  scope "teacher"
  %35 = state {frozen = true, name = "teacher.query.1"}                  : f32[4,4]
  %36 = linear %32, %35                                                  : f32[B*S,4]
  %37:2 = attention %36, %32, %32, %21, %20 {heads = 2, scale = 0.5}     : f32[B*S,4], f32[B*S,2]
  %38 = add %37, %32                                                     : f32[B*S,4]
  %39 = first_rows %21                                                   : i32[B]
  %40 = gather_rows %38, %39                                             : f32[B,4]
  %41 = state {frozen = true, name = "teacher.classifier"}               : f32[3,4]
  %42 = linear %40, %41                                                  : f32[B,3]
  scope "loss"
  %43 = input {name = "scale.distill.logits"}                            : f32[]
  %44 = kl_divergence %16, %42, _, %43 {temperature = 2}                 : f32[]
  %45 = constant {value = [0.5]}                                         : f32[]
  %46 = mul %18, %45                                                     : f32[]
  %47 = constant {value = [0.5]}                                         : f32[]
  %48 = mul %44, %47                                                     : f32[]
  %49 = add %46, %48                                                     : f32[]
  %50 = add %49, %34                                                     : f32[]
  return "loss" = %50,
         "loss.task" = %18,
         "loss.distill" = %44,
         "loss.hidden" = %34,
         "loss.labels" = %18
}

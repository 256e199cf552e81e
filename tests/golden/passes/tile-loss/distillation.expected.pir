graph @distillation (R <= 64) {
  %1 = input {name = "x"}                                                : f32[R,8]
  %2 = state {name = "w"}                                                : f32[7,8]
  %3 = state {name = "b"}                                                : f32[7]
  %4 = input {name = "y"}                                                : f32[R,12]
  %5 = state {frozen = true, name = "teacher.w"}                         : f32[7,12]
  %6 = state {frozen = true, name = "teacher.b"}                         : f32[7]
  %7 = input {name = "keep"}                                             : i64[R]
  %8 = input {name = "scale.distill.prediction_logits"}                  : f32[]
  %9:4 = linear_kl_divergence %1, %2, %4, %5, %3, %6, %7, %8 {temperature = 2} : f32[], f32[R,8], f32[7,8], f32[7]
  %10:4 = linear_kl_divergence %1, %2, %4, %5                            : f32[], f32[R,8], f32[7,8], f32[7]
  %11 = linear %1, %2, %3                                                : f32[R,7]
  %12 = linear %4, %5, %6                                                : f32[R,7]
  %13 = kl_divergence %11, %12, %7, %8 {temperature = 2}                 : f32[]
  %14 = linear %4, %5, %6                                                : f32[R,7]
  %15 = linear %1, %2, %3                                                : f32[R,7]
  %16 = input {name = "classes"}                                         : bool[R,7]
  %17 = kl_divergence %15, %14, %16                                      : f32[]
  %18 = linear %1, %2, %3                                                : f32[R,7]
  %19 = input {name = "teacher_logits"}                                  : f32[R,7]
  %20 = kl_divergence %18, %19                                           : f32[]
  return "loss" = %9,
         "plain" = %10,
         "again" = %13,
         "logits" = %11,
         "some" = %17,
         "given" = %20
}

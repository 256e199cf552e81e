; pipeline: tile-loss{min_classes=7}
; A student and a teacher of other width over one vocabulary: padded rows do not count, the factor is the op's own. Whole logits stay
; where the student's are read again, where classes are left out, and where the teacher's are given.
graph @distillation (R <= 64) {
  %1 = input {name = "x"} : f32[R,8]
  %2 = state {name = "w"} : f32[7,8]
  %3 = state {name = "b"} : f32[7]
  %4 = input {name = "y"} : f32[R,12]
  %5 = state {name = "teacher.w", frozen = true} : f32[7,12]
  %6 = state {name = "teacher.b", frozen = true} : f32[7]
  %7 = input {name = "keep"} : i64[R]
  %8 = input {name = "scale.distill.prediction_logits"} : f32[]
  %9 = linear %1, %2, %3 : f32[R,7]
  %10 = linear %4, %5, %6 : f32[R,7]
  %11 = kl_divergence %9, %10, %7, %8 {temperature = 2} : f32[]
  %12 = linear %1, %2 : f32[R,7]
  %13 = linear %4, %5 : f32[R,7]
  %14 = kl_divergence %12, %13 : f32[]
  %15 = linear %1, %2, %3 : f32[R,7]
  %16 = linear %4, %5, %6 : f32[R,7]
  %17 = kl_divergence %15, %16, %7, %8 {temperature = 2} : f32[]
  %18 = linear %4, %5, %6 : f32[R,7]
  %19 = linear %1, %2, %3 : f32[R,7]
  %20 = input {name = "classes"} : bool[R,7]
  %21 = kl_divergence %19, %18, %20 : f32[]
  %22 = linear %1, %2, %3 : f32[R,7]
  %23 = input {name = "teacher_logits"} : f32[R,7]
  %24 = kl_divergence %22, %23 : f32[]
  return "loss" = %11, "plain" = %14, "again" = %17, "logits" = %15, "some" = %21, "given" = %24
}

graph @step (M <= 512) {
  %1 = input {name = "x"}                                                : f32[M,8]
  %2 = state {name = "w"}                                                : f32[7,8]
  %3 = state {name = "b"}                                                : f32[7]
  %4 = input {name = "labels"}                                           : i64[M]
  %5 = input {name = "scale.labels"}                                     : f32[]
  %6:4 = linear_cross_entropy %1, %2, %4, %3, %5 {reduction = "sum"}     : f32[], f32[M,8], f32[7,8], f32[7]
  %7:4 = linear_cross_entropy %1, %2, %4                                 : f32[], f32[M,8], f32[7,8], f32[7]
  %8 = add %6, %7                                                        : f32[]
  return "loss" = %8,
         "loss.labels" = %6
}

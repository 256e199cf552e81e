graph @step (M <= 512) {
  %1 = input {name = "x"}                                                : f32[M,8]
  %2 = state {name = "w"}                                                : f32[7,8]
  %3 = state {name = "few"}                                              : f32[6,8]
  %4 = pattern {name = "s"}                                              : pattern[7,8]
  %5 = state {name = "s"}                                                : f32[nnz(%4)]
  %6 = input {name = "labels"}                                           : i64[M]
  %7 = linear %1, %2                                                     : f32[M,7]
  %8 = cross_entropy %7, %6                                              : f32[]
  %9 = linear %1, %3                                                     : f32[M,6]
  %10 = cross_entropy %9, %6                                             : f32[]
  %11 = linear %1, %5, _, %4                                             : f32[M,7]
  %12 = cross_entropy %11, %6                                            : f32[]
  %13 = linear %1, %2                                                    : f32[M,7]
  %14 = cross_entropy %13, %6 {labels = "clamp"}                         : f32[]
  %15:4 = linear_cross_entropy %1, %2, %6                                : f32[], f32[M,8], f32[7,8], f32[7]
  %16 = mul %15, %15                                                     : f32[]
  return "logits" = %7,
         "read" = %8,
         "less" = %10,
         "sparse" = %12,
         "clamped" = %14,
         "squared" = %16
}

; pipeline: tile-loss{min_classes=7}
graph @step (M <= 512) {
  %1 = input {name = "x"} : f32[M,8]
  %2 = state {name = "w"} : f32[7,8]
  %3 = state {name = "b"} : f32[7]
  %4 = input {name = "labels"} : i64[M]
  %5 = input {name = "scale.labels"} : f32[]
  %6 = linear %1, %2, %3 : f32[M,7]
  %7 = cross_entropy %6, %4 {reduction = "sum"} : f32[]
  %8 = mul %7, %5 : f32[]
  %9 = linear %1, %2 : f32[M,7]
  %10 = cross_entropy %9, %4 : f32[]
  %11 = add %8, %10 : f32[]
  return "loss" = %11, "loss.labels" = %8
}

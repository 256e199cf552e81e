; pipeline: layout
graph @step (T <= 512) {
  %1 = input {name = "x"} : f32[T,8]
  %2 = state {name = "w"} : f32[4,8]
  %3 = state {name = "r"} : f32[2]
  %4 = state {name = "s"} : f32[2]
  %5 = observe_range %1, %3 : f32[2]
  %6 = fake_quantize %1, %5 : f32[T,8]
  %7 = observe_range %2, %4 : f32[2]
  %8 = fake_quantize %2, %7 {scheme = "symmetric"} : f32[4,8]
  %9 = linear %6, %8 : f32[T,4]
  %10 = observe_range %9, %3 : f32[2]
  %11 = fake_quantize %9, %10 : f32[T,4]
  %12 = fake_quantize_gradient %11, %9, %10 : f32[T,4]
  return "y" = %11, "dy" = %12, "r" = %10, "s" = %7
}

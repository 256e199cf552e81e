; pipeline: fuse
graph @step (T <= 512) {
  %1 = input {name = "x"} : f32[T,8] tiles<32>
  %2 = input {name = "r"} : f32[2]
  %3 = input {name = "dy"} : f32[T,8] tiles<32>
  %4 = state {name = "w"} : f32[8,8]
  %5 = fake_quantize %1, %2 : f32[T,8] tiles<32>
  %6 = gelu %5 : f32[T,8] tiles<32>
  %7 = observe_range %6, %2 : f32[2]
  %8 = fake_quantize %6, %7 : f32[T,8] tiles<32>
  %9 = linear %8, %4 : f32[T,8] tiles<32>
  %10 = fake_quantize %9, %2 : f32[T,8] tiles<32>
  %11 = gelu_gradient %5, %3 : f32[T,8] tiles<32>
  %12 = fake_quantize_gradient %11, %1, %2 : f32[T,8] tiles<32>
  %13 = linear_input_gradient %12, %4 : f32[T,8] tiles<32>
  %14 = fake_quantize_gradient %13, %1, %2 : f32[T,8] tiles<32>
  %15 = add %14, %3 : f32[T,8] tiles<32>
  return "y" = %10, "dx" = %15
}

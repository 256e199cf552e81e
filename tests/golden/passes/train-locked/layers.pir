graph @step (T <= 512) {
  %1 = input {name = "x"} : f32[T,32]
  %2 = input {name = "keys"} : i64[T]
  %3 = input {name = "random"} : i64[2]
  %4 = input {name = "target"} : f32[T,32]
  scope "layer.0"
  %5 = state {name = "wide.0"} : f32[64,32]
  %6 = linear %1, %5 : f32[T,64]
  %7 = gelu %6 : f32[T,64]
  %8 = state {name = "narrow.0"} : f32[32,64]
  %9 = linear %7, %8 : f32[T,32]
  %10 = dropout %9, %2, %3 {rate = 0.1, stream = 0} : f32[T,32]
  %11 = add %10, %1 : f32[T,32]
  %12 = state {name = "gamma.0"} : f32[32]
  %13 = state {name = "beta.0"} : f32[32]
  %14:3 = layer_norm %11, %12, %13 {eps = 1e-6} : f32[T,32], f32[T], f32[T]
  scope "layer.1"
  %15 = state {name = "wide.1"} : f32[64,32]
  %16 = linear %14, %15 : f32[T,64]
  %17 = gelu %16 : f32[T,64]
  %18 = state {name = "narrow.1"} : f32[32,64]
  %19 = linear %17, %18 : f32[T,32]
  %20 = dropout %19, %2, %3 {rate = 0.1, stream = 1} : f32[T,32]
  %21 = add %20, %14 : f32[T,32]
  %22 = state {name = "gamma.1"} : f32[32]
  %23 = state {name = "beta.1"} : f32[32]
  %24:3 = layer_norm %21, %22, %23 {eps = 1e-6} : f32[T,32], f32[T], f32[T]
  scope "head"
  %25 = state {name = "head"} : f32[32,32]
  %26 = linear %24, %25 : f32[T,32]
  %27 = mean_squared_error %26, %4 : f32[]
  return "loss" = %27
}

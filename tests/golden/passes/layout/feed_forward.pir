; From rows to tiles once, and back for the output.
graph @feed_forward (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  scope "up"
  %2 = state {name = "up.weight"} : f32[8,4]
  %3 = state {name = "up.bias"} : f32[8]
  %4 = linear %1, %2, %3 : f32[T,8]
  %5 = gelu %4 : f32[T,8]
  scope "down"
  %6 = state {name = "down.weight"} : f32[4,8]
  %7 = linear %5, %6 : f32[T,4]
  scope "norm"
  %8 = state {name = "gamma"} : f32[4]
  %9 = state {name = "beta"} : f32[4]
  %10 = add %7, %1 : f32[T,4]
  %11:3 = layer_norm %10, %8, %9 {eps = 1e-12} : f32[T,4], f32[T], f32[T]
  scope "elsewhere"
  %12 = tanh %8 : f32[4]
  return "y" = %11, "mean" = %11#1, "again" = %11, "z" = %12
}

graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[4]
  %3:3 = layer_norm %1, %2, %2 {eps = 1e-12} : f32[T,4], f32[T], f32[4]
  return "y" = %1
}

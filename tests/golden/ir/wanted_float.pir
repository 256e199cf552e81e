graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T,4]
  %2:3 = layer_norm %1, %1, %1 {eps = "small"} : f32[T,4], f32[T], f32[T]
  return "y" = %1
}

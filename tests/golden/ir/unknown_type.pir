graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = gelu %1 : float[T,4]
  return "y" = %1
}

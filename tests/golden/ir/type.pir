graph @ffn (T <= 65536) {
  %1 = input {name = "x"} : f32[T,768]
  %2 = gelu %1            : f32[T,3072]
  return "y" = %2
}

graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T,4] quads<16>
  return
}

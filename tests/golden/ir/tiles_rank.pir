graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T] tiles<16>
  return
}

graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[B,T]
  return
}

graph @g (B <= 2) {
  %1 = input {name = "x"} : f32[B+B]
  return
}

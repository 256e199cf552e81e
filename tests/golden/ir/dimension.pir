graph @g (B <= 2, S <= 4) {
  %1 = input {name = "x"} : f32[B*S*B]
  return
}

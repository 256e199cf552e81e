graph @g (B <= 2) {
  %1 = input {name = "x"} : f32[4294967296*4294967296]
  return
}

graph @g (B <= 2) {
  %1 = input {name = "x"} : f32[9223372036854775807+1]
  return
}

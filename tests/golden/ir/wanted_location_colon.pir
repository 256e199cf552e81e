graph @g () {
  %1 = input {name = "x"} : f32[4] loc("a", 1, 2)
  return
}

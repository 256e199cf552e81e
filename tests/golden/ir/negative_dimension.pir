graph @g () {
  %1 = input {name = "x"} : f32[4,3-5]
  return
}

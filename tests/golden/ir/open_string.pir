graph @g () {
  %1 = input {name = "x} : f32[4]
  return
}

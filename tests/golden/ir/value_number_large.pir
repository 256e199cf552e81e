graph @g () {
  %4294967296 = input {name = "x"} : f32[4]
  return
}

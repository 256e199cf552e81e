graph @g () {
  %x = input {name = "x"} : f32[4]
  return
}

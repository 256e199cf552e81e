graph @g () {
  %1 = input {name = "a\x00"} : f32[4]
  return
}

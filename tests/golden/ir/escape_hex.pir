graph @g () {
  %1 = input {name = "a\x1g"} : f32[4]
  return
}

graph @g () {
  %1 = input {name = "ab"} : f32[4]
  return
}

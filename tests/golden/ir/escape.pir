graph @g () {
  %1 = input {name = "a\q"} : f32[4]
  return
}

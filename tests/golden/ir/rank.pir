graph @g () {
  %1 = input {name = "x"} : f32[1,2,3,4,5]
  return
}

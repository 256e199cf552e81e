graph @g () {
  %1 = constant {value = 1} : f32[1]
  return
}

graph @g () {
  %1 = constant {value = [1, -nan]} : f32[2]
  return
}

graph @g () {
  %1 = constant {value = [1 2]} : f32[2]
  return
}

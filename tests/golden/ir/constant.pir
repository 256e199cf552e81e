graph @g () {
  %1 = constant {data = "known"} : f32[3,2]
  return
}

graph @g () {
  %1 = constant {data = "unknown"} : f32[3,2]
  return
}

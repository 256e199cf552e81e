graph @a () {
  %1 = state {name = "w"} : f32[4]
  return
}

graph @b () {
  %1 = state {name = "w"} : f32[5]
  return
}

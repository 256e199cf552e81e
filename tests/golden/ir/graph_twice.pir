graph @g () {
  return
}
graph @g () {
  return
}

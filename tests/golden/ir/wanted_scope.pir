graph @g () {
  scope encoder
  return
}

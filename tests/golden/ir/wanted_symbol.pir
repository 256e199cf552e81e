graph @g (12) {
  return
}

graph @g (T <= 0) {
  return
}

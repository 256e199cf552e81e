graph @g (T <= 0.5) {
  return
}

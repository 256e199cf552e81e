graph @g (T <= 8 B <= 2) {
  return
}

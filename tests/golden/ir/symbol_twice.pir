graph @g (T <= 8, B <= 2, T <= 4) {
  return
}

graph @g (T <= 12abc) {
  return
}

graph @g (T <= B) {
  return
}

graph @g (T <= 8, ) {
  return
}

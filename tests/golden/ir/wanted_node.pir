graph @g () {
  gelu
  return
}

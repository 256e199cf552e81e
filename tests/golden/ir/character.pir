graph @g () {
  return !
}

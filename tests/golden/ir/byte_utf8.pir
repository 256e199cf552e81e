graph @g () {
  é
  return
}

graph @g {
  return
}

graph @"two words" () {
  return
}

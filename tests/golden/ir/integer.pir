graph @g (T <= 9223372036854775808) {
  return
}

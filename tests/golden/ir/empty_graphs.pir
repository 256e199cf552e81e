graph @nothing () {
  return
}

graph @symbols (B <= 64, S <= 512) {
  return
}

graph ffn () {
  return
}

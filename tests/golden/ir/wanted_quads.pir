graph @g (T <= 8) {
  %1 = input {name = "x"} : u8[T,4] quads 16
  return
}

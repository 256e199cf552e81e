graph @g (T <= 8) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = input {name = "x"} : f32[T,4] loc("model.xml":3:5)
  return "y" = %1
}

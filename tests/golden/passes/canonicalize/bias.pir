; A vector added behind a linear is not its bias: the product is rounded before.
graph @bias (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "weight"} : f32[8,4]
  %3 = state {name = "bias"} : f32[8]
  %4 = linear %1, %2 : f32[T,8]
  %5 = add %4, %3 : f32[T,8]
  return "y" = %5
}

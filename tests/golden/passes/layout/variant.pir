; The variants of linears say how wide the tiles are.
graph @variant (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[4,4]
  %3 = linear %1, %2 {variant = "linear tile=64 panel=4"} : f32[T,4]
  %4 = linear %3, %2 : f32[T,4]
  %5 = linear %4, %2 {variant = "linear panel=4 tile=64"} : f32[T,4]
  return "y" = %5
}

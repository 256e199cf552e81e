graph @variants_differ (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[4,4]
  %3 = linear %1, %2 {variant = "linear tile=64"} : f32[T,4]
  %4 = linear %3, %2 {variant = "linear tile=16"} : f32[T,4]
  return "y" = %4
}

; A result has a slot where somebody reads it. Outputs keep theirs to the end, leaves and dead nodes have none.
graph @results (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "g"} : f32[4]
  %3:3 = layer_norm %1, %2, %2 {eps = 0.5} : f32[T,4], f32[T], f32[T]
  %4 = tanh %3#2 : f32[T]
  %5 = tanh %1 : f32[T,4]
  %6 = tanh %1 : f32[T,4]
  %7 = tanh %6 : f32[T,4]
  return "a" = %3, "b" = %4, "c" = %7, "x" = %1
}

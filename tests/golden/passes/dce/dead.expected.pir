graph @one (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "unused"}                                           : f32[T,4]
  %3 = state {name = "w"}                                                : f32[4,4]
  %4 = state {name = "g"}                                                : f32[4]
  %5 = linear %1, %3                                                     : f32[T,4]
  %6:3 = layer_norm %5, %4, %4 {eps = 0.5}                               : f32[T,4], f32[T], f32[T]
  return "mean" = %6#1
}

graph @two (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  return
}

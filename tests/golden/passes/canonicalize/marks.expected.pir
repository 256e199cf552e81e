graph @marks (T <= 64) {
  scope "a"
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "w"}                                                : f32[4,4]
  %3 = linear %1, %2                                                     : f32[T,4]
  scope "b"
  %4 = gelu %3 {form = "tanh"}                                           : f32[T,4]
  return "y" = %4
}

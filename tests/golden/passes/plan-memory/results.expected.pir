graph @results (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "g"}                                                : f32[4]
  %3:3 = layer_norm %1, %2, %2 {eps = 0.5, slot = [0, -1, 1]}            : f32[T,4], f32[T], f32[T]
  %4 = tanh %3#2 {slot = [2]}                                            : f32[T]
  %5 = tanh %1                                                           : f32[T,4]
  %6 = tanh %1 {slot = [1]}                                              : f32[T,4]
  %7 = tanh %6 {slot = [3]}                                              : f32[T,4]
  return "a" = %3,
         "b" = %4,
         "c" = %7,
         "x" = %1
}

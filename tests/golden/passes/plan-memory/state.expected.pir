graph @state (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "w"}                                                : f32[4,4]
  %3 = linear %1, %2 {slot = [0]}                                        : f32[T,4]
  %4 = tanh %2                                                           : f32[4,4]
  return "y" = %3,
         "w" = %4
}

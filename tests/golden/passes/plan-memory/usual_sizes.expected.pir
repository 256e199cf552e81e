graph @g (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,2]
  %2 = state {name = "w"}                                                : f32[8,4]
  %3 = tanh %1 {slot = [0]}                                              : f32[T,2]
  %4 = tanh %2 {slot = [1]}                                              : f32[8,4]
  %5 = tanh %3 {slot = [2]}                                              : f32[T,2]
  %6 = tanh %4 {slot = [0]}                                              : f32[8,4]
  %7 = tanh %5 {slot = [1]}                                              : f32[T,2]
  return "a" = %7,
         "b" = %6
}

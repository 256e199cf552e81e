graph @chain (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = tanh %1 {slot = [0]}                                              : f32[T,4]
  %3 = tanh %2 {slot = [1]}                                              : f32[T,4]
  %4 = tanh %3 {slot = [2]}                                              : f32[T,4]
  %5 = tanh %4 {slot = [1]}                                              : f32[T,4]
  %6 = add %5, %2 {slot = [2]}                                           : f32[T,4]
  %7 = tanh %6 {slot = [0]}                                              : f32[T,4]
  return "y" = %7
}

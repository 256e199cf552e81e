graph @groups (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = tanh %1 {slot = [0]}                                              : f32[T,4]
  %3 = tanh %1 {slot = [1]}                                              : f32[T,4]
  %4 = tanh %2 {group = 1, slot = [2]}                                   : f32[T,4]
  %5 = add %4, %3 {group = 1}                                            : f32[T,4]
  %6 = relu %5 {group = 1, slot = [3]}                                   : f32[T,4]
  %7 = tanh %6 {slot = [0]}                                              : f32[T,4]
  return "y" = %7,
         "z" = %4
}

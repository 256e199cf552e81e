graph @g (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,64]
  %2 = gelu %1                                                           : f32[T,64]
  %3 = tanh %2                                                           : f32[T,64]
  %4 = gelu_gradient %2, %3                                              : f32[T,64]
  return "y" = %4
}

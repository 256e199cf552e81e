graph @identities (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "v"}                                                : f32[4]
  %3 = constant {value = [0]}                                            : f32[]
  %4 = constant {value = [1]}                                            : f32[]
  %5 = constant {value = [0]}                                            : f32[4]
  %6 = constant {value = [0.5]}                                          : f32[]
  %7 = constant {value = [1, 1, 1, 1]}                                   : f32[4]
  %8 = tanh %1                                                           : f32[T,4]
  %9 = sub %5, %2                                                        : f32[4]
  %10 = mul %8, %6                                                       : f32[T,4]
  %11 = mul %10, %7                                                      : f32[T,4]
  return "y" = %11,
         "v" = %2,
         "w" = %9
}

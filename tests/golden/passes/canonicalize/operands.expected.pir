graph @operands (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,2]
  %2 = input {name = "y"}                                                : f32[T,2]
  %3 = input {name = "v"}                                                : f32[2]
  %4 = constant {value = [2, 3]}                                         : f32[2]
  %5 = add %1, %2                                                        : f32[T,2]
  %6 = mul %1, %5                                                        : f32[T,2]
  %7 = sub %6, %2                                                        : f32[T,2]
  %8 = add %3, %4                                                        : f32[2]
  %9 = mul %8, %4                                                        : f32[2]
  %10 = add %7, %9                                                       : f32[T,2]
  %11 = mul %10, %3                                                      : f32[T,2]
  return "z" = %11
}

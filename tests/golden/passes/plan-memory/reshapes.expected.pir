graph @reshapes (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = reshape %1 {slot = [0]}                                           : f32[4*T]
  %3 = tanh %2 {slot = [1]}                                              : f32[4*T]
  %4 = reshape %3 {slot = [1]}                                           : f32[T,4]
  %5 = reshape %4 {slot = [1]}                                           : f32[T,2,2]
  %6 = tanh %5 {slot = [0]}                                              : f32[T,2,2]
  %7 = tanh %6 {slot = [2]}                                              : f32[T,2,2]
  %8 = tanh %4 {slot = [0]}                                              : f32[T,4]
  %9 = relayout %8 {slot = [3]}                                          : f32[T,4] tiles<16>
  %10 = reshape %9 {slot = [0]}                                          : f32[4*T]
  return "a" = %7,
         "b" = %10
}

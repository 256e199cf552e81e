graph @sizes (N <= 16, T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "weight"}                                           : f32[16,4]
  %3 = state {name = "bias"}                                             : f32[16]
  %4 = input {name = "u"}                                                : f32[N,3]
  %5 = input {name = "v"}                                                : f32[5,N,4]
  %6 = pattern {name = "p"}                                              : pattern[4,4]
  %7 = state {name = "p"}                                                : f32[nnz(%6)]
  %8 = tanh %1 {slot = [0]}                                              : f32[T,4]
  %9 = tanh %2 {slot = [1]}                                              : f32[16,4]
  %10 = tanh %3 {slot = [2]}                                             : f32[16]
  %11 = linear %8, %9, %10 {slot = [3]}                                  : f32[T,16]
  %12 = tanh %11 {slot = [0]}                                            : f32[T,16]
  %13 = tanh %4 {slot = [1]}                                             : f32[N,3]
  %14 = tanh %5 {slot = [3]}                                             : f32[5,N,4]
  %15 = tanh %7 {slot = [2]}                                             : f32[nnz(%6)]
  return "a" = %12,
         "b" = %13,
         "c" = %14,
         "d" = %15
}

graph @activations (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4] tiles<32>
  %2 = state {name = "weight"}                                           : f32[4,4]
  %3 = state {name = "bias"}                                             : f32[4]
  %4 = linear %1, %2, %3 {group = 1}                                     : f32[T,4] tiles<32>
  %5 = gelu %4 {form = "tanh", group = 1}                                : f32[T,4] tiles<32>
  %6 = linear %5, %2 {group = 2}                                         : f32[T,4] tiles<32>
  %7 = relu %6 {group = 2}                                               : f32[T,4] tiles<32>
  %8 = linear %7, %2 {group = 3}                                         : f32[T,4] tiles<32>
  %9 = tanh %8 {group = 3}                                               : f32[T,4] tiles<32>
  %10 = linear %9, %2 {group = 4}                                        : f32[T,4] tiles<32>
  %11 = tanh %10 {group = 4}                                             : f32[T,4] tiles<32>
  %12 = relu %10                                                         : f32[T,4] tiles<32>
  %13 = linear %11, %2 {group = 5}                                       : f32[T,4] tiles<32>
  %14 = tanh %13 {group = 5}                                             : f32[T,4] tiles<32>
  %15 = relayout %14                                                     : f32[T,4]
  %16 = linear %15, %2                                                   : f32[T,4]
  %17 = tanh %16                                                         : f32[T,4]
  return "a" = %12,
         "b" = %13,
         "c" = %17
}

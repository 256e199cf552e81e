graph @marks (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4] tiles<32>
  %2 = state {name = "weight"}                                           : f32[4,4]
  %3 = state {name = "bias"}                                             : f32[4]
  %4 = linear %1, %2 {group = 1}                                         : f32[T,4] tiles<32>
  %5 = gelu %4 {group = 1}                                               : f32[T,4] tiles<32>
  %6 = relu %5 {group = 1}                                               : f32[T,4] tiles<32>
  return "a" = %6
}

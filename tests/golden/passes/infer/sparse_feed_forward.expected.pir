graph @feed_forward (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = pattern {name = "weight"}                                         : pattern[8,8]
  %3 = state {name = "weight"}                                           : f32[nnz(%2)]
  %4 = state {name = "gamma"}                                            : f32[8]
  %5 = relayout %1 {slot = [0]}                                          : f32[T,8] tiles<32>
  %6 = linear %5, %3, _, %2 {group = 1}                                  : f32[T,8] tiles<32>
  %7 = gelu %6 {group = 1}                                               : f32[T,8] tiles<32>
  %8 = add %5, %7 {group = 1, slot = [1]}                                : f32[T,8] tiles<32>
  %9:3 = layer_norm %8, %4, %4 {eps = 1e-05, slot = [0, -1, -1]}         : f32[T,8] tiles<32>, f32[T], f32[T]
  %10 = relayout %9 {slot = [2]}                                         : f32[T,8]
  return "y" = %10
}

graph @product (B <= 16) {
  %1 = input {name = "x"}                                                : f32[B,8]
  %2 = pattern {name = "weight"}                                         : pattern[8,8]
  %3 = state {name = "weight"}                                           : f32[nnz(%2)]
  %4 = relayout %1 {slot = [0]}                                          : f32[B,8] tiles<32>
  %5 = linear %4, %3, _, %2 {slot = [1]}                                 : f32[B,8] tiles<32>
  %6 = relayout %5 {slot = [2]}                                          : f32[B,8]
  return "y" = %6
}

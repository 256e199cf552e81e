graph @feed_forward (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = pattern {name = "weight"}                                         : pattern[8,8]
  %3 = state {name = "weight"}                                           : f32[nnz(%2)]
  %4 = state {name = "gamma"}                                            : f32[8]
  %5 = state {frozen = true, name = ".input_range"}                      : f32[2]
  %6 = fake_quantize %1, %5 {slot = [0]}                                 : f32[T,8]
  %7 = state {frozen = true, name = ".weight_range"}                     : f32[2]
  %8 = fake_quantize %3, %7 {scheme = "symmetric", slot = [1]}           : f32[nnz(%2)]
  %9 = relayout %6 {slot = [2]}                                          : f32[T,8] tiles<32>
  %10 = linear %9, %8, _, %2 {group = 1}                                 : f32[T,8] tiles<32>
  %11 = gelu %10 {group = 1}                                             : f32[T,8] tiles<32>
  %12 = relayout %1 {slot = [3]}                                         : f32[T,8] tiles<32>
  %13 = add %11, %12 {group = 1, slot = [4]}                             : f32[T,8] tiles<32>
  %14:3 = layer_norm %13, %4, %4 {eps = 1e-05, slot = [2, -1, -1]}       : f32[T,8] tiles<32>, f32[T], f32[T]
  %15 = relayout %14 {slot = [0]}                                        : f32[T,8]
  return "y" = %15
}

graph @product (B <= 16) {
  %1 = input {name = "x"}                                                : f32[B,8]
  %2 = pattern {name = "weight"}                                         : pattern[8,8]
  %3 = state {name = "weight"}                                           : f32[nnz(%2)]
  %4 = state {frozen = true, name = ".input_range"}                      : f32[2]
  %5 = fake_quantize %1, %4 {slot = [0]}                                 : f32[B,8]
  %6 = state {frozen = true, name = ".weight_range"}                     : f32[2]
  %7 = fake_quantize %3, %6 {scheme = "symmetric", slot = [1]}           : f32[nnz(%2)]
  %8 = relayout %5 {slot = [2]}                                          : f32[B,8] tiles<32>
  %9 = linear %8, %7, _, %2 {slot = [3]}                                 : f32[B,8] tiles<32>
  %10 = relayout %9 {slot = [0]}                                         : f32[B,8]
  return "y" = %10
}

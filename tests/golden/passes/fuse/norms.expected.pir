graph @norms (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4] tiles<32>
  %2 = state {name = "weight"}                                           : f32[4,4]
  %3 = state {name = "bias"}                                             : f32[4]
  %4 = linear %1, %2 {group = 1}                                         : f32[T,4] tiles<32>
  %5 = add %4, %1 {group = 1}                                            : f32[T,4] tiles<32>
  %6:3 = layer_norm %5, %3, %3 {eps = 0.5}                               : f32[T,4] tiles<32>, f32[T], f32[T]
  %7 = linear %6, %2 {group = 2}                                         : f32[T,4] tiles<32>
  %8 = add %6, %7 {group = 2}                                            : f32[T,4] tiles<32>
  %9:3 = layer_norm %8, %3, %3 {eps = 0.5}                               : f32[T,4] tiles<32>, f32[T], f32[T]
  %10 = add %6, %9 {group = 3}                                           : f32[T,4] tiles<32>
  %11:3 = layer_norm %10, %3, %3 {eps = 0.5, group = 3}                  : f32[T,4] tiles<32>, f32[T], f32[T]
  %12 = linear %11, %2                                                   : f32[T,4] tiles<32>
  %13 = linear %11, %2 {group = 4}                                       : f32[T,4] tiles<32>
  %14 = add %12, %13 {group = 4}                                         : f32[T,4] tiles<32>
  %15:3 = layer_norm %14, %3, %3 {eps = 0.5}                             : f32[T,4] tiles<32>, f32[T], f32[T]
  %16 = add %15, %3                                                      : f32[T,4] tiles<32>
  %17:3 = layer_norm %16, %3, %3 {eps = 0.5}                             : f32[T,4] tiles<32>, f32[T], f32[T]
  %18 = add %17, %17                                                     : f32[T,4] tiles<32>
  %19:3 = layer_norm %18, %3, %3 {eps = 0.5}                             : f32[T,4] tiles<32>, f32[T], f32[T]
  return "a" = %19,
         "b" = %18,
         "mean" = %6#1,
         "rstd" = %9#2
}

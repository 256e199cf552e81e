graph @classifier (B <= 8, T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "offsets"}                                          : i32[B+1]
  %3 = state {name = "q"}                                                : f32[4,4]
  %4 = state {name = "k"}                                                : f32[4,4]
  %5 = state {name = "b"}                                                : f32[4]
  scope "layer.0"
  %6 = linear %1, %4                                                     : f32[T,4]
  scope "head"
  %7 = first_rows %2                                                     : i32[B]
  scope "layer.0"
  %8 = gather_rows %1, %7                                                : f32[B,4]
  %9 = linear %8, %3, %5                                                 : f32[B,4]
  %10 = reshape %7                                                       : i32[B,1]
  %11 = padded_offsets %10                                               : i32[B+1]
  %12:2 = attention %9, %6, %6, %2, _, %11 {heads = 2, scale = 0.5}      : f32[B,4], f32[B,2]
  %13 = gather_rows %1, %7                                               : f32[B,4]
  %14 = add %12, %13                                                     : f32[B,4]
  %15:3 = layer_norm %14, %5, %5 {eps = 0.5}                             : f32[B,4], f32[B], f32[B]
  %16 = gelu %15 {form = "tanh"}                                         : f32[B,4]
  %17 = mul %16, %15                                                     : f32[B,4]
  return "y" = %17
}

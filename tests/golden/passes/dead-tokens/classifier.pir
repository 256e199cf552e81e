; Keys and values are made for all tokens, queries and what follows for the first ones.
graph @classifier (B <= 8, T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = input {name = "offsets"} : i32[B+1]
  %3 = state {name = "q"} : f32[4,4]
  %4 = state {name = "k"} : f32[4,4]
  %5 = state {name = "b"} : f32[4]
  scope "layer.0"
  %6 = linear %1, %3, %5 : f32[T,4]
  %7 = linear %1, %4 : f32[T,4]
  %8:2 = attention %6, %7, %7, %2 {heads = 2, scale = 0.5} : f32[T,4], f32[T,2]
  %9 = add %8, %1 : f32[T,4]
  %10:3 = layer_norm %9, %5, %5 {eps = 0.5} : f32[T,4], f32[T], f32[T]
  %11 = gelu %10 {form = "tanh"} : f32[T,4]
  %12 = mul %11, %10 : f32[T,4]
  scope "head"
  %13 = first_rows %2 : i32[B]
  %14 = gather_rows %12, %13 : f32[B,4]
  return "y" = %14
}

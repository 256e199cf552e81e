; A sparse linear runs in rows, the norm behind it in tiles. The second graph shares the weight and has its own numbers.
graph @feed_forward (T <= 64) {
  %1 = input {name = "x"} : f32[T,8]
  %2 = pattern {name = "weight"} : pattern[8,8]
  %3 = state {name = "weight"} : f32[nnz(%2)]
  %4 = state {name = "gamma"} : f32[8]
  %5 = linear %1, %3, _, %2 : f32[T,8]
  %6 = gelu %5 : f32[T,8]
  %7 = add %6, %1 : f32[T,8]
  %8:3 = layer_norm %7, %4, %4 {eps = 1e-05} : f32[T,8], f32[T], f32[T]
  %9 = constant {value = [0]} : f32[]
  %10 = sub %8, %9 : f32[T,8]
  return "y" = %10
}

graph @product (B <= 16) {
  %1 = input {name = "x"} : f32[B,8]
  %2 = pattern {name = "weight"} : pattern[8,8]
  %3 = state {name = "weight"} : f32[nnz(%2)]
  %4 = linear %1, %3, _, %2 : f32[B,8]
  return "y" = %4
}

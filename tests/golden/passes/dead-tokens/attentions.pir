; Attention is narrowed for first tokens of its own offsets alone, where nobody reads its other result, and once.
graph @attentions (B <= 8, T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = input {name = "offsets"} : i32[B+1]
  %3 = input {name = "other"} : i32[B+1]
  %4 = first_rows %2 : i32[B]
  %5 = first_rows %3 : i32[B]
  %6:2 = attention %1, %1, %1, %2 {heads = 1, scale = 1.0} : f32[T,4], f32[T,1]
  %7 = gather_rows %6, %5 : f32[B,4]
  %8:2 = attention %1, %1, %1, %2 {heads = 2, scale = 1.0} : f32[T,4], f32[T,2]
  %9 = gather_rows %8, %4 : f32[B,4]
  %10 = gather_rows %8#1, %4 : f32[B,2]
  %11 = input {name = "q"} : f32[B,4]
  %12:2 = attention %11, %1, %1, %2, _, %3 {heads = 2, scale = 1.0} : f32[B,4], f32[B,2]
  %13 = gather_rows %12, %4 : f32[B,4]
  %14:2 = attention %1, %1, %1, %2, _, %2 {heads = 2, scale = 1.0} : f32[T,4], f32[T,2]
  %15 = gather_rows %14, %4 : f32[B,4]
  return "a" = %7, "b" = %9, "c" = %10, "d" = %13, "e" = %15
}

; Each value is converted once for all readers of the other layout; elementwise ops follow either operand.
graph @borders (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[4,4]
  %3 = linear %1, %2 : f32[T,4]
  %4 = relu %1 : f32[T,4]
  %5 = sub %4, %3 : f32[T,4]
  %6 = slice %5 {begin = 0, end = 2} : f32[T,2]
  %7 = slice %5 {begin = 2, end = 4} : f32[T,2]
  %8 = cast %3 : bf16[T,4]
  %9 = reshape %3 : f32[4*T]
  %10 = mul %6, %7 : f32[T,2]
  return "a" = %10, "b" = %8, "c" = %9, "d" = %5
}

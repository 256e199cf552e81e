; Equal expressions over equal ones; the first keeps its scope. Other attributes, other operands and other types tell nodes apart.
graph @equal (T <= 64) {
  scope "first"
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[4,4]
  %3 = linear %1, %2 : f32[T,4]
  %4 = gelu %3 : f32[T,4]
  scope "second"
  %5 = state {name = "w"} : f32[4,4]
  %6 = linear %1, %5 : f32[T,4]
  %7 = gelu %6 : f32[T,4]
  %8 = gelu %6 {form = "tanh"} : f32[T,4]
  %9 = add %7, %8 : f32[T,4]
  %10 = add %8, %4 : f32[T,4]
  %11 = sub %7, %8 : f32[T,4]
  %12 = sub %8, %7 : f32[T,4]
  %13 = cast %9 : f64[T,4]
  %14 = cast %10 : f64[T,4]
  %15 = cast %10 : bf16[T,4]
  return "a" = %10, "b" = %9, "c" = %11, "d" = %12, "e" = %13, "f" = %14, "g" = %15
}

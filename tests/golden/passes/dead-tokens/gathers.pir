; Two gathers of the same rows share what they need; a value that is wanted for other rows, as a whole, or by another op is made whole.
graph @gathers (M <= 8, N <= 8, T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = input {name = "i"} : i32[M]
  %3 = input {name = "j"} : i32[N]
  %4 = tanh %1 : f32[T,4]
  %5 = relu %4 : f32[T,4]
  %6 = gelu %4 : f32[T,4]
  %7 = gather_rows %5, %2 : f32[M,4]
  %8 = gather_rows %6, %2 : f32[M,4]
  %9 = relu %1 : f32[T,4]
  %10 = tanh %9 : f32[T,4]
  %11 = gelu %9 : f32[T,4]
  %12 = gather_rows %10, %2 : f32[M,4]
  %13 = gather_rows %11, %3 : f32[N,4]
  %14 = tanh %11 : f32[T,4]
  %15 = sub %1, %14 : f32[T,4]
  %16 = gather_rows %14, %2 : f32[M,4]
  %17 = tanh %15 : f32[T,4]
  %18 = slice %17 {begin = 0, end = 2} : f32[T,2]
  %19 = gather_rows %18, %2 : f32[M,2]
  %20 = gather_rows %2, %3 : i32[N]
  return "a" = %7, "b" = %8, "c" = %12, "d" = %13, "e" = %16, "f" = %19, "g" = %20, "h" = %15
}

graph @gathers (M <= 8, N <= 8, T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "i"}                                                : i32[M]
  %3 = input {name = "j"}                                                : i32[N]
  %4 = gather_rows %1, %2                                                : f32[M,4]
  %5 = tanh %4                                                           : f32[M,4]
  %6 = relu %5                                                           : f32[M,4]
  %7 = gelu %5                                                           : f32[M,4]
  %8 = relu %1                                                           : f32[T,4]
  %9 = gelu %8                                                           : f32[T,4]
  %10 = gather_rows %8, %2                                               : f32[M,4]
  %11 = tanh %10                                                         : f32[M,4]
  %12 = gather_rows %9, %3                                               : f32[N,4]
  %13 = tanh %9                                                          : f32[T,4]
  %14 = sub %1, %13                                                      : f32[T,4]
  %15 = gather_rows %13, %2                                              : f32[M,4]
  %16 = tanh %14                                                         : f32[T,4]
  %17 = slice %16 {begin = 0, end = 2}                                   : f32[T,2]
  %18 = gather_rows %17, %2                                              : f32[M,2]
  %19 = gather_rows %2, %3                                               : i32[N]
  return "a" = %6,
         "b" = %7,
         "c" = %11,
         "d" = %12,
         "e" = %15,
         "f" = %18,
         "g" = %19,
         "h" = %14
}

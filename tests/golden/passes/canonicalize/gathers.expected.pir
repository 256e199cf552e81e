graph @gathers (T <= 64, M <= 64, N <= 64, K <= 64) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = input {name = "i"}                                                : i32[M]
  %3 = input {name = "j"}                                                : i64[N]
  %4 = input {name = "k"}                                                : i32[K]
  %5 = gather_rows %1, %2                                                : f32[M,8]
  %6 = gather_rows %2, %3                                                : i32[N]
  %7 = gather_rows %1, %6                                                : f32[N,8]
  %8 = gather_rows %6, %4                                                : i32[K]
  %9 = gather_rows %1, %8                                                : f32[K,8]
  %10 = gather_rows %2, %3                                               : i32[N]
  %11 = gather_rows %10, %4                                              : i32[K]
  return "y" = %9,
         "i" = %11
}

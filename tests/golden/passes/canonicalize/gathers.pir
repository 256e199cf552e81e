; Rows of rows are chosen first and moved once; numbers alone are not.
graph @gathers (T <= 64, M <= 64, N <= 64, K <= 64) {
  %1 = input {name = "x"} : f32[T,8]
  %2 = input {name = "i"} : i32[M]
  %3 = input {name = "j"} : i64[N]
  %4 = input {name = "k"} : i32[K]
  %5 = gather_rows %1, %2 : f32[M,8]
  %6 = gather_rows %5, %3 : f32[N,8]
  %7 = gather_rows %6, %4 : f32[K,8]
  %8 = gather_rows %2, %3 : i32[N]
  %9 = gather_rows %8, %4 : i32[K]
  return "y" = %7, "i" = %9
}

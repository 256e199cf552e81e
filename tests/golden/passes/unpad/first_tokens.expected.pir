graph @first_tokens (B <= 8, S <= 16, M <= 32, T <= 128) {
  %1 = input {name = "mask"}                                             : i64[B,S]
  %2:2 = kept_rows %1 {rows = "T"}                                       : i32[T], i32[B+1]
  %3 = reshape %1                                                        : i64[B*S]
  %4 = reshape %1                                                        : i64[B*S]
  %5 = gather_rows %4, %2                                                : i64[T]
  %6 = input {name = "x"}                                                : f32[B,S,4]
  %7 = reshape %6                                                        : f32[B*S,4]
  %8 = gather_rows %7, %2                                                : f32[T,4]
  %9:2 = attention %8, %8, %8, %2#1, %5 {heads = 2, scale = 0.5}         : f32[T,4], f32[T,2]
  %10 = first_rows %2#1                                                  : i32[B]
  %11 = gather_rows %9, %10                                              : f32[B,4]
  %12 = input {name = "chosen"}                                          : i32[M]
  %13 = reshape %2                                                       : i32[1,T]
  %14 = padded_offsets %13                                               : i32[2]
  %15 = row_positions %14, %2                                            : i32[T]
  %16 = scatter_rows %15, %2, %3                                         : i32[B*S]
  %17 = gather_rows %16, %12                                             : i32[M]
  %18 = gather_rows %9, %17                                              : f32[M,4]
  return "first" = %11,
         "chosen" = %18
}

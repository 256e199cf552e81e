graph @tokens (B <= 8, S <= 16, T <= 128) {
  scope "encoder"
  %1 = input {name = "mask"}                                             : i64[B,S]
  %2:2 = kept_rows %1 {rows = "T"}                                       : i32[T], i32[B+1]
  %3 = reshape %1                                                        : i64[B*S]
  scope ""
  %4 = input {name = "ids"}                                              : i64[B,S]
  %5 = reshape %4                                                        : i64[B*S]
  %6 = gather_rows %5, %2                                                : i64[T]
  %7 = padded_offsets %1                                                 : i32[B+1]
  %8 = row_positions %7, %5                                              : i32[B*S]
  %9 = gather_rows %8, %2                                                : i32[T]
  %10 = state {name = "words"}                                           : f32[9,4]
  %11 = state {name = "positions"}                                       : f32[16,4]
  scope "embeddings"
  %12 = embedding %10, %6                                                : f32[T,4]
  %13 = embedding %11, %9                                                : f32[T,4]
  %14 = add %12, %13                                                     : f32[T,4]
  scope "encoder"
  %15 = reshape %1                                                       : i64[B*S]
  %16 = gather_rows %15, %2                                              : i64[T]
  %17:2 = attention %14, %14, %14, %2#1, %16 {heads = 2, scale = 0.5}    : f32[T,4], f32[T,2]
  %18 = state {name = "weight"}                                          : f32[3,4]
  %19 = linear %17, %18                                                  : f32[T,3]
  %20 = cast %19                                                         : f64[T,3]
  %21 = slice %20 {begin = 1, end = 2}                                   : f64[T,1]
  %22 = scatter_rows %21, %2, %3                                         : f64[B*S,1]
  %23 = reshape %22                                                      : f64[B,S]
  %24 = scatter_rows %17#1, %2, %3                                       : f32[B*S,2]
  %25 = reshape %24                                                      : f32[B,S,2]
  return "y" = %23,
         "lse" = %25
}

graph @labels (B <= 8, S <= 16, M <= 128, T <= 128) {
  %1 = input {name = "mask"}                                             : i64[B,S]
  %2:2 = kept_rows %1 {rows = "T"}                                       : i32[T], i32[B+1]
  %3 = reshape %1                                                        : i64[B*S]
  %4 = reshape %1                                                        : i64[B*S]
  %5 = gather_rows %4, %2                                                : i64[T]
  %6 = input {name = "x"}                                                : f32[B,S,4]
  %7 = reshape %6                                                        : f32[B*S,4]
  %8 = gather_rows %7, %2                                                : f32[T,4]
  %9:2 = attention %8, %8, %8, %2#1, %5 {heads = 2, scale = 0.5}         : f32[T,4], f32[T,2]
  %10 = input {name = "labels"}                                          : i64[B,S]
  %11 = reshape %10                                                      : i64[B*S]
  %12 = gather_rows %11, %2                                              : i64[T]
  %13 = labelled_rows %12 {rows = "M"}                                   : i32[M]
  %14 = gather_rows %9, %13                                              : f32[M,4]
  %15 = gather_rows %12, %13                                             : i64[M]
  %16 = cross_entropy %14, %15                                           : f32[]
  return "loss" = %16
}

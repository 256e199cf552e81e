graph @loss (B <= 8, S <= 16, T <= 128) {
  %1 = input {name = "mask"}                                             : i64[B,S]
  %2:2 = kept_rows %1 {rows = "T"}                                       : i32[T], i32[B+1]
  %3 = reshape %1                                                        : i64[B*S]
  %4 = reshape %1                                                        : i64[B*S]
  %5 = gather_rows %4, %2                                                : i64[T]
  %6 = input {name = "x"}                                                : f32[B,S,4]
  %7 = reshape %6                                                        : f32[B*S,4]
  %8 = gather_rows %7, %2                                                : f32[T,4]
  %9:2 = attention %8, %8, %8, %2#1, %5 {heads = 2, scale = 0.5}         : f32[T,4], f32[T,2]
  %10 = input {name = "teacher"}                                         : f32[B,S,4]
  %11 = reshape %10                                                      : f32[B*S,4]
  %12 = gather_rows %11, %2                                              : f32[T,4]
  %13 = kl_divergence %9, %12, %5 {temperature = 2}                      : f32[]
  %14 = slice %9 {begin = 0, end = 1}                                    : f32[T,1]
  %15 = scatter_rows %14, %2, %3                                         : f32[B*S,1]
  %16 = reshape %15                                                      : f32[B,S]
  %17 = slice %9 {begin = 1, end = 2}                                    : f32[T,1]
  %18 = scatter_rows %17, %2, %3                                         : f32[B*S,1]
  %19 = reshape %18                                                      : f32[B,S]
  %20 = kl_divergence %16, %19, %1                                       : f32[]
  return "loss" = %13,
         "loss.places" = %20
}

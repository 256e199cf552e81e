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
  %10 = slice %9 {begin = 0, end = 1}                                    : f32[T,1]
  %11 = scatter_rows %10, %2, %3                                         : f32[B*S,1]
  %12 = reshape %11                                                      : f32[B,S]
  %13 = input {name = "label"}                                           : i64[B]
  %14 = cross_entropy %12, %13, %1 {labels = "clamp"}                    : f32[]
  return "loss" = %14,
         "logits" = %12
}

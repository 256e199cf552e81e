; Rows that are drawn are found among the kept ones, by keys that count places of the padded batch.
graph @drawn (B <= 8, S <= 16, M <= 128) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = input {name = "labels"} : i64[B,S]
  %8 = reshape %7 : i64[B*S]
  %9 = input {name = "first"} : i64[]
  %10 = row_keys %3, %8, %9 : i64[B*S]
  %11 = input {name = "random"} : i64[2]
  %12 = sampled_rows %8, %10, %11 {rows = "M", share = 0.25} : i32[M]
  %13 = gather_rows %6, %12 : f32[M,4]
  %14 = gather_rows %2, %12 : i64[M]
  %15 = constant {value = [0.5]} : f32[6,4]
  %16:4 = linear_kl_divergence %13, %15, %13, %15, _, _, %14 {temperature = 2} : f32[], f32[M,4], f32[6,4], f32[6]
  return "loss" = %16
}

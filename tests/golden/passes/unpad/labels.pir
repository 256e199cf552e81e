; Rows with labels are found among the kept ones.
graph @labels (B <= 8, S <= 16, M <= 128) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = input {name = "labels"} : i64[B,S]
  %8 = reshape %7 : i64[B*S]
  %9 = labelled_rows %8 {rows = "M"} : i32[M]
  %10 = gather_rows %6, %9 : f32[M,4]
  %11 = gather_rows %8, %9 : i64[M]
  %12 = cross_entropy %10, %11 : f32[]
  return "loss" = %12
}

; First tokens are kept rows; an index of one's own counts padded rows.
graph @first_tokens (B <= 8, S <= 16, M <= 32) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = first_rows %3 : i32[B]
  %8 = gather_rows %6, %7 : f32[B,4]
  %9 = input {name = "chosen"} : i32[M]
  %10 = gather_rows %6, %9 : f32[M,4]
  return "first" = %8, "chosen" = %10
}

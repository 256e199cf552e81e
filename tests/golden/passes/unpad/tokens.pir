; An output for each token: padded places come back as 0. Positions are those in the padded sequence. Marks are dropped.
graph @tokens (B <= 8, S <= 16) {
  %1 = input {name = "ids"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = row_positions %3, %2 : i32[B*S]
  %5 = state {name = "words"} : f32[9,4]
  %6 = state {name = "positions"} : f32[16,4]
  scope "embeddings"
  %7 = embedding %5, %2 {group = 1} : f32[B*S,4]
  %8 = embedding %6, %4 {group = 1} : f32[B*S,4]
  %9 = add %7, %8 {group = 1, slot = [0]} : f32[B*S,4]
  scope "encoder"
  %10 = input {name = "mask"} : i64[B,S]
  %11 = reshape %10 : i64[B*S]
  %12:2 = attention %9, %9, %9, %3, %11 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %13 = state {name = "weight"} : f32[3,4]
  %14 = linear %12, %13 : f32[B*S,3]
  %15 = cast %14 : f64[B*S,3]
  %16 = slice %15 {begin = 1, end = 2} : f64[B*S,1]
  %17 = reshape %16 : f64[B,S]
  %18 = reshape %12#1 : f32[B,S,2]
  return "y" = %17, "lse" = %18
}

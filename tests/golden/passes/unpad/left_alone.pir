; Nothing says which input is the mask.
graph @no_attention (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  return "y" = %4
}

; The second attention has padding among its keys.
graph @all_keys (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7:2 = attention %5, %5, %5, %3 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %8 = reshape %7 : f32[B,S,4]
  return "y" = %8
}

; The second attention keeps keys by another mask.
graph @other_keys (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = input {name = "other"} : i64[B,S]
  %8 = reshape %7 : i64[B*S]
  %9:2 = attention %5, %5, %5, %3, %8 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %10 = reshape %9 : f32[B,S,4]
  return "y" = %10
}

; An output has a row per place.
graph @rows_out (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  return "y" = %6
}

; A softmax over all positions.
graph @softmax (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = slice %6 {begin = 0, end = 1} : f32[B*S,1]
  %8 = reshape %7 : f32[B,S]
  %9 = input {name = "label"} : i64[B]
  %10 = cross_entropy %8, %9 : f32[]
  return "y" = %10
}

; A mean over all rows.
graph @mean (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = mean_squared_error %6, %5 : f32[]
  return "y" = %7
}

; Somebody else reads the offsets.
graph @offsets_out (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = cast %3 : i64[B+1]
  return "y" = %7
}

; An input has rows already.
graph @row_input (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = input {name = "rows"} : f32[B*S,4]
  %8 = add %7, %6 : f32[B*S,4]
  %9 = reshape %8 : f32[B,S,4]
  return "y" = %9
}

; Rows are the weight of a linear.
graph @weights (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = input {name = "v"} : f32[B,4]
  %8 = linear %7, %6 : f32[B,B*S]
  return "y" = %8
}

; There is a T already.
graph @tokens_already (B <= 8, S <= 16, T <= 9) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = input {name = "v"} : f32[T]
  %8 = reshape %6 : f32[B,S,4]
  return "y" = %8
}

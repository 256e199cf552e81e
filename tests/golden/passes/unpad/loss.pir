; A softmax over positions that leaves out what the mask leaves out.
graph @loss (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = slice %6 {begin = 0, end = 1} : f32[B*S,1]
  %8 = reshape %7 : f32[B,S]
  %9 = input {name = "label"} : i64[B]
  %10 = cross_entropy %8, %9, %1 {labels = "clamp"} : f32[]
  return "loss" = %10, "logits" = %8
}

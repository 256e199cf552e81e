; Logits beside a teacher's: of tokens that the mask keeps, and of places, whose softmax leaves out what the mask leaves out.
graph @loss (B <= 8, S <= 16) {
  %1 = input {name = "mask"} : i64[B,S]
  %2 = reshape %1 : i64[B*S]
  %3 = padded_offsets %1 : i32[B+1]
  %4 = input {name = "x"} : f32[B,S,4]
  %5 = reshape %4 : f32[B*S,4]
  %6:2 = attention %5, %5, %5, %3, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]
  %7 = input {name = "teacher"} : f32[B,S,4]
  %8 = reshape %7 : f32[B*S,4]
  %9 = kl_divergence %6, %8, %2 {temperature = 2} : f32[]
  %10 = slice %6 {begin = 0, end = 1} : f32[B*S,1]
  %11 = reshape %10 : f32[B,S]
  %12 = slice %6 {begin = 1, end = 2} : f32[B*S,1]
  %13 = reshape %12 : f32[B,S]
  %14 = kl_divergence %11, %13, %1 : f32[]
  return "loss" = %9, "loss.places" = %14
}

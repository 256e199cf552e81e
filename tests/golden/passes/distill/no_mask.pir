graph @step (B <= 64, S <= 32) {
  %1 = input {name = "x"} : f32[B*S,8]
  %2 = state {name = "w"} : f32[3,8]
  %3 = linear %1, %2 : f32[B*S,3]
  %4 = reshape %3 : f32[B,S,3]
  %5 = mean_squared_error %3, %3 : f32[]
  return "logits" = %4, "loss" = %5
}

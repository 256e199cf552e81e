graph @infer (B <= 64) {
  %1 = input {name = "x"}                                                : f32[B,8]
  %2 = state {name = "w"}                                                : f32[3,8]
  %3 = linear %1, %2                                                     : f32[B,3]
  return "logits" = %3
}

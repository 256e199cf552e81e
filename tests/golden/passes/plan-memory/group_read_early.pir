graph @group_read_early (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = tanh %1 {group = 1} : f32[T,4]
  %3 = relu %2 : f32[T,4]
  %4 = gelu %2 {group = 1} : f32[T,4]
  return "y" = %3, "z" = %4
}

graph @state_read_late (T <= 64) {
  %1 = state {name = "w"} : f32[4]
  %2 = input {name = "x"} : f32[T,4]
  %3 = tanh %1 : f32[4]
  %4 = add %2, %1 : f32[T,4]
  return "w" = %3, "y" = %4
}

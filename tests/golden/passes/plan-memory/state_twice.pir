graph @state_twice () {
  %1 = state {name = "v"} : f32[4]
  %2 = state {name = "w"} : f32[4]
  %3 = add %1, %2 : f32[4]
  return "v" = %3, "w" = %3
}

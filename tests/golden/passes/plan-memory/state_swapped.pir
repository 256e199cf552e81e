graph @state_swapped () {
  %1 = state {name = "v"} : f32[4]
  %2 = state {name = "w"} : f32[4]
  return "w" = %1, "v" = %2
}

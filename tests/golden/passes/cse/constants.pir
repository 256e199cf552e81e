; Constants are equal by their bits: 0 and -0 differ, and so do numbers in the node and data elsewhere.
graph @constants () {
  %1 = constant {value = [0]} : f32[2]
  %2 = constant {value = [-0]} : f32[2]
  %3 = constant {value = [0, 0]} : f32[2]
  %4 = constant {value = [0]} : f32[2]
  %5 = constant {value = [0]} : f32[3]
  %6 = constant {data = "d"} : f32[2]
  %7 = constant {data = "d"} : f32[2]
  return "a" = %1, "b" = %2, "c" = %3, "d" = %4, "e" = %5, "f" = %6, "g" = %7
}

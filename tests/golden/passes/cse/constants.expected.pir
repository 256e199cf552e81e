graph @constants () {
  %1 = constant {value = [0]}                                            : f32[2]
  %2 = constant {value = [-0]}                                           : f32[2]
  %3 = constant {value = [0, 0]}                                         : f32[2]
  %4 = constant {value = [0]}                                            : f32[3]
  %5 = constant {data = "d"}                                             : f32[2]
  return "a" = %1,
         "b" = %2,
         "c" = %3,
         "d" = %1,
         "e" = %4,
         "f" = %5,
         "g" = %5
}

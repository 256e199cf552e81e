graph @budget () {
  %1 = constant {value = [1]}                                            : f32[4]
  %2 = constant {value = [2]}                                            : f32[4]
  %3 = constant {value = [1]}                                            : f32[]
  %4 = constant {value = [2]}                                            : f32[]
  %5 = mul %2, %2                                                        : f32[4]
  %6 = constant {value = [2]}                                            : f32[4]
  return "a" = %2,
         "b" = %4,
         "c" = %5,
         "d" = %6
}

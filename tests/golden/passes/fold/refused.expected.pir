graph @refused () {
  %1 = constant {value = [1, 2]}                                         : f32[2]
  %2 = constant {value = [0, 2]}                                         : i32[2]
  %3 = gather_rows %1, %2                                                : f32[2]
  %4 = constant {value = [0.7615941762924194, 0.9640275835990906]}       : f32[2]
  return "y" = %3,
         "z" = %4
}

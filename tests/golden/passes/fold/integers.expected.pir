graph @integers () {
  %1 = constant {value = [0]}                                            : i64[2,3]
  %2 = constant {value = [0, 3, 6]}                                      : i32[3]
  %3 = constant {value = [0, 3]}                                         : i32[2]
  %4 = constant {value = [1]}                                            : i64[6]
  %5 = constant {value = [0, 1, 2, 0, 1, 2]}                             : i32[6]
  %6 = constant {value = [1.5, -2.5, 3.5, 4.5]}                          : f32[4]
  %7 = constant {value = [2, -2, 4, 4]}                                  : i64[4]
  %8 = constant {value = [1.5, 4.5]}                                     : f32[2]
  %9 = constant {value = [1e+300]}                                       : f64[]
  %10 = constant {value = [inf]}                                         : f32[]
  %11 = constant {value = [4.611686018427388e+18]}                       : f64[2]
  %12 = constant {data = "c.7a805ae3a971951c5cb27bf55d38c90a"}           : i64[2]
  %13 = constant                                                         : i8[0]
  %14 = constant                                                         : f32[0]
  return "rows" = %8,
         "first" = %3,
         "positions" = %5,
         "rounded" = %7,
         "big" = %10,
         "exact" = %12,
         "none" = %14
}

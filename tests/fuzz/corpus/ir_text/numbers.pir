graph @numbers () {
  %1 = constant {value = [0, -0, 1, -1, 0.1, 0.30000000000000004, 1e-12, 1e+22, 1.7976931348623157e+308, 2.2250738585072014e-308, 5e-324, inf, -inf, nan]} : f64[14]
  %2 = constant {value = [0.10000000149011612]}                          : f32[]
  %3 = constant {value = [0.333333343, 0.3333333333333333, 1.2345678901234568e+17, 9007199254740992]} : f32[4]
  %4 = constant                                                          : f32[0]
  %5 = constant {value = [-128, 127]}                                    : i8[2]
  %6 = constant {value = [1]}                                            : bool[3]
  %7 = constant {value = [1]}                                            : bf16[2]
  %8 = constant {value = [1]}                                            : f16[2]
  %9 = constant {value = [7]}                                            : i4[2]
  %10 = constant {value = [255]}                                         : u8[2]
  %11 = constant {value = [1]}                                           : i16[2]
  %12 = constant {value = [1]}                                           : i32[2]
  %13 = constant {value = [1]}                                           : i64[2]
  %14 = constant {data = "known"}                                        : f32[2,3]
  return "y" = %14,
         "z" = %1
}

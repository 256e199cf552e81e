graph @gathered (T <= 64, B <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "firsts"}                                           : i32[B]
  %3 = state {name = "w"}                                                : f32[4,4]
  %4 = state {name = "range"}                                            : f32[2]
  %5 = fake_quantize %3, %4 {scheme = "symmetric"}                       : f32[4,4]
  %6 = quantize %1, %4                                                   : u8[T,4]
  %7 = linear_int8 %6, %4, %3, %4                                        : f32[T,4]
  %8 = gather_rows %1, %2                                                : f32[B,4]
  %9 = quantize %8, %4                                                   : u8[B,4]
  %10 = linear_int8 %9, %4, %3, %4                                       : f32[B,4]
  %11 = row_range %1                                                     : f32[T,2]
  %12 = fake_quantize %1, %11                                            : f32[T,4]
  %13 = gather_rows %12, %2                                              : f32[B,4]
  %14 = linear %13, %5                                                   : f32[B,4]
  return "all" = %7,
         "some" = %10,
         "others" = %14
}

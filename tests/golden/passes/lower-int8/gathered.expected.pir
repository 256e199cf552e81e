graph @gathered (T <= 64, B <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "firsts"}                                           : i32[B]
  %3 = state {name = "w"}                                                : f32[4,4]
  %4 = state {name = "range"}                                            : f32[2]
  %5 = quantize %1, %4                                                   : u8[T,4]
  %6 = linear_int8 %5, %4, %3, %4                                        : f32[T,4]
  %7 = gather_rows %1, %2                                                : f32[B,4]
  %8 = quantize %7, %4                                                   : u8[B,4]
  %9 = linear_int8 %8, %4, %3, %4                                        : f32[B,4]
  %10 = row_range %1                                                     : f32[T,2]
  %11 = gather_rows %1, %2                                               : f32[B,4]
  %12 = gather_rows %10, %2                                              : f32[B,2]
  %13 = quantize %11, %12                                                : u8[B,4]
  %14 = linear_int8 %13, %12, %3, %4                                     : f32[B,4]
  return "all" = %6,
         "some" = %9,
         "others" = %14
}

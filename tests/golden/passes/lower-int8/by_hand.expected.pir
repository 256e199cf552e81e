graph @by_hand (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "w"}                                                : f32[4,4]
  %3 = state {name = "w_range"}                                          : f32[4,2]
  %4 = state {name = "range"}                                            : f32[2]
  %5 = row_range %1                                                      : f32[T,2]
  scope "rows"
  %6 = fake_quantize %1, %5                                              : f32[T,4]
  %7 = fake_quantize %2, %3 {scheme = "symmetric"}                       : f32[4,4]
  %8 = quantize %1, %5                                                   : u8[T,4]
  %9 = linear_int8 %8, %5, %2, %3                                        : f32[T,4]
  %10 = fake_quantize %9, %4                                             : f32[T,4]
  scope "read twice"
  %11 = quantize %9, %4                                                  : u8[T,4]
  %12 = linear_int8 %11, %4, %2, %3                                      : f32[T,4]
  %13 = fake_quantize %12, %4                                            : f32[T,4]
  %14 = add %12, %13                                                     : f32[T,4]
  scope "one after the other"
  %15 = fake_quantize %14, %4                                            : f32[T,4]
  %16 = quantize %14, %4                                                 : u8[T,4]
  %17 = linear_int8 %16, %4, %2, %3, _, %4                               : f32[T,4]
  %18 = fake_quantize %17, %4                                            : f32[T,4]
  %19 = quantize %17, %4                                                 : u8[T,4]
  %20 = linear_int8 %19, %4, %2, %3                                      : f32[T,4]
  return "y" = %20,
         "quantized" = %18
}

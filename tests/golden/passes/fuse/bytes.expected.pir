graph @bytes (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,8] tiles<16>
  %2 = state {name = "range"}                                            : f32[2]
  %3 = state {name = "w"}                                                : f32[8,8]
  scope "gelu"
  %4 = quantize %1, %2                                                   : u8[T,8] quads<16>
  %5 = linear_int8 %4, %2, %3, %2 {group = 1}                            : f32[T,8] tiles<16>
  %6 = gelu %5 {group = 1}                                               : f32[T,8] tiles<16>
  %7 = quantize %6, %2 {group = 1}                                       : u8[T,8] quads<16>
  scope "residual, read by others"
  %8 = linear_int8 %7, %2, %3, %2 {group = 2}                            : f32[T,8] tiles<16>
  %9 = add %8, %1 {group = 2}                                            : f32[T,8] tiles<16>
  %10 = quantize %9, %2 {group = 2}                                      : u8[T,8] tiles<16>
  scope "two quantizes, one of them in the group"
  %11 = linear_int8 %10, %2, %3, %2 {group = 3}                          : f32[T,8] tiles<16>
  %12 = quantize %11, %2 {group = 3}                                     : u8[T,8] tiles<16>
  %13 = quantize %11, %2                                                 : u8[T,8] quads<16>
  scope "rows"
  %14 = linear_int8 %12, %2, %3, %2                                      : f32[T,8] tiles<16>
  %15 = row_range %14                                                    : f32[T,2] tiles<16>
  %16 = quantize %14, %15                                                : u8[T,8] quads<16>
  scope "fp32"
  %17 = linear %9, %3                                                    : f32[T,8] tiles<16>
  %18 = quantize %17, %2                                                 : u8[T,8] quads<16>
  %19 = linear_int8 %18, %2, %3, %2                                      : f32[T,8] tiles<16>
  %20 = linear_int8 %13, %2, %3, %2 {group = 4}                          : f32[T,8] tiles<16>
  %21 = linear_int8 %16, %15, %3, %2 {group = 5}                         : f32[T,8] tiles<16>
  %22 = add %19, %20 {group = 4}                                         : f32[T,8] tiles<16>
  %23 = add %21, %22 {group = 5}                                         : f32[T,8] tiles<16>
  return "y" = %23
}

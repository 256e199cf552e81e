graph @bytes (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,6]
  %2 = state {name = "a.input_range"}                                    : f32[2]
  %3 = state {name = "a.weight"}                                         : f32[8,6]
  %4 = state {name = "a.weight_range"}                                   : f32[8,2]
  %5 = state {name = "a.output_range"}                                   : f32[2]
  %6 = relayout %1                                                       : f32[T,6] tiles<16>
  %7 = quantize %6, %2                                                   : u8[T,6]
  %8 = quantize %6, %2                                                   : u8[T,6] tiles<16>
  %9 = quantize %6, %2                                                   : u8[T,6] quads<16>
  scope "a"
  %10 = linear_int8 %9, %2, %3, %4, _, %5                                : f32[T,8] tiles<16>
  scope "b"
  %11 = pattern {name = "b.weight"}                                      : pattern[8,6]
  %12 = state {name = "b.weight"}                                        : f32[nnz(%11)]
  %13 = linear_int8 %8, %2, %12, %2, _, _, %11 {variant = "some_kernel tile=16 bytes=tiles"} : f32[T,8] tiles<16>
  scope "c"
  %14 = add %10, %13                                                     : f32[T,8] tiles<16>
  %15 = row_range %14                                                    : f32[T,2] tiles<16>
  %16 = quantize %14, %15                                                : u8[T,8] quads<16>
  %17 = state {name = "c.weight"}                                        : f32[3,8]
  %18 = linear_int8 %16, %15, %17, %2                                    : f32[T,3] tiles<16>
  %19 = relayout %18                                                     : f32[T,3]
  %20 = quantize %19, %2                                                 : u8[T,3]
  return "y" = %19,
         "in" = %7,
         "out" = %20
}

graph @bytes (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,6]
  %2 = state {name = "a.input_range"}                                    : f32[2]
  %3 = state {name = "a.weight"}                                         : f32[8,6]
  %4 = state {name = "a.weight_range"}                                   : f32[8,2]
  %5 = state {name = "a.output_range"}                                   : f32[2]
  %6 = relayout %1                                                       : f32[T,6] tiles<16>
  %7 = quantize %6, %2                                                   : u8[T,6] tiles<16>
  %8 = quantize %6, %2                                                   : u8[T,6] quads<16>
  scope "a"
  %9 = linear_int8 %8, %2, %3, %4, _, %5                                 : f32[T,8] tiles<16>
  scope "b"
  %10 = pattern {name = "b.weight"}                                      : pattern[8,6]
  %11 = state {name = "b.weight"}                                        : f32[nnz(%10)]
  %12 = linear_int8 %7, %2, %11, %2, _, _, %10 {variant = "some_kernel tile=16 bytes=tiles"} : f32[T,8] tiles<16>
  scope "c"
  %13 = add %9, %12                                                      : f32[T,8] tiles<16>
  %14 = row_range %13                                                    : f32[T,2] tiles<16>
  %15 = quantize %13, %14                                                : u8[T,8] quads<16>
  %16 = state {name = "c.weight"}                                        : f32[3,8]
  %17 = linear_int8 %15, %14, %16, %2                                    : f32[T,3] tiles<16>
  %18 = relayout %17                                                     : f32[T,3]
  %19 = quantize %18, %2                                                 : u8[T,3]
  scope ""
  %20 = relayout %8                                                      : u8[T,6]
  return "y" = %18,
         "in" = %20,
         "out" = %19
}

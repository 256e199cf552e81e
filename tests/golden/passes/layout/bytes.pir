; Values of 8 bits: quads, or tiles where a variant wants them, each from a quantize of its own; rows for the output. Ranges of rows go along, those of weights stay in rows.
graph @bytes (T <= 64) {
  %1 = input {name = "x"} : f32[T,6]
  %2 = state {name = "a.input_range"} : f32[2]
  %3 = state {name = "a.weight"} : f32[8,6]
  %4 = state {name = "a.weight_range"} : f32[8,2]
  %5 = state {name = "a.output_range"} : f32[2]
  %6 = quantize %1, %2 : u8[T,6]
  scope "a"
  %7 = linear_int8 %6, %2, %3, %4, _, %5 : f32[T,8]
  scope "b"
  %8 = pattern {name = "b.weight"} : pattern[8,6]
  %9 = state {name = "b.weight"} : f32[nnz(%8)]
  %10 = linear_int8 %6, %2, %9, %2, _, _, %8 {variant = "some_kernel tile=16 bytes=tiles"} : f32[T,8]
  scope "c"
  %11 = add %7, %10 : f32[T,8]
  %12 = row_range %11 : f32[T,2]
  %13 = quantize %11, %12 : u8[T,8]
  %14 = state {name = "c.weight"} : f32[3,8]
  %15 = linear_int8 %13, %12, %14, %2 : f32[T,3]
  %16 = quantize %15, %2 : u8[T,3]
  return "y" = %15, "in" = %6, "out" = %16
}

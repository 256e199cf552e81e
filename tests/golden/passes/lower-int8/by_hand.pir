; Ranges of rows and of channels; a result that two read, and one by ranges of rows, which are quantized behind their products.
graph @by_hand (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[4,4]
  %3 = state {name = "w_range"} : f32[4,2]
  %4 = state {name = "range"} : f32[2]
  %5 = row_range %1 : f32[T,2]
  scope "rows"
  %6 = fake_quantize %1, %5 : f32[T,4]
  %7 = fake_quantize %2, %3 {scheme = "symmetric"} : f32[4,4]
  %8 = linear %6, %7 : f32[T,4]
  %9 = fake_quantize %8, %4 : f32[T,4]
  scope "read twice"
  %10 = linear %9, %7 : f32[T,4]
  %11 = fake_quantize %10, %4 : f32[T,4]
  %12 = add %10, %11 : f32[T,4]
  scope "one after the other"
  %13 = fake_quantize %12, %4 : f32[T,4]
  %14 = linear %13, %7 : f32[T,4]
  %15 = fake_quantize %14, %4 : f32[T,4]
  %16 = fake_quantize %15, %4 : f32[T,4]
  %17 = linear %16, %7 : f32[T,4]
  return "y" = %17, "quantized" = %16
}

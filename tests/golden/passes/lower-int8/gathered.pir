; pipeline: lower-int8,dce
; Rows are gathered before they are quantized, for the linear that needs no others; ranges of rows with them.
graph @gathered (T <= 64, B <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = input {name = "firsts"} : i32[B]
  %3 = state {name = "w"} : f32[4,4]
  %4 = state {name = "range"} : f32[2]
  %5 = fake_quantize %1, %4 : f32[T,4]
  %6 = fake_quantize %3, %4 {scheme = "symmetric"} : f32[4,4]
  %7 = linear %5, %6 : f32[T,4]
  %8 = gather_rows %5, %2 : f32[B,4]
  %9 = linear %8, %6 : f32[B,4]
  %10 = row_range %1 : f32[T,2]
  %11 = fake_quantize %1, %10 : f32[T,4]
  %12 = gather_rows %11, %2 : f32[B,4]
  %13 = linear %12, %6 : f32[B,4]
  return "all" = %7, "some" = %9, "others" = %13
}

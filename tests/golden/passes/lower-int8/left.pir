; Nothing of this: training that may not have begun, other schemes, one operand alone, another element type.
graph @left (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "w"} : f32[4,4]
  %3 = state {name = "range"} : f32[2]
  %4 = input {name = "forward"} : i64[]
  %5 = fake_quantize %1, %3, %4 {begin = 2} : f32[T,4]
  %6 = fake_quantize %2, %3 {scheme = "symmetric"} : f32[4,4]
  %7 = linear %5, %6 : f32[T,4]
  %8 = fake_quantize %7, %3 {scheme = "symmetric"} : f32[T,4]
  %9 = linear %8, %6 : f32[T,4]
  %10 = fake_quantize %9, %3 : f32[T,4]
  %11 = linear %10, %2 : f32[T,4]
  %12 = linear %11, %6 : f32[T,4]
  %13 = cast %12 : f64[T,4]
  %14 = cast %2 : f64[4,4]
  %15 = fake_quantize %13, %3 : f64[T,4]
  %16 = fake_quantize %14, %3 {scheme = "symmetric"} : f64[4,4]
  %17 = linear %15, %16 : f64[T,4]
  return "y" = %17
}

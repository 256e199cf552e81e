; Conversions made earlier are asked for again, and results that were declared in tiles follow their inputs. A leaf stays as declared.
graph @conversions (T <= 64) {
  %1 = input {name = "x"} : f32[T,4] tiles<32>
  %2 = relayout %1 : f32[T,4]
  %3 = relayout %2 : f32[T,4] tiles<16>
  %4 = tanh %3 : f32[T,4] tiles<16>
  %5 = cast %4 : f64[T,4] tiles<16>
  %6 = relu %5 : f64[T,4] tiles<16>
  %7 = reshape %2 : f32[T,4] tiles<16>
  %8 = relu %7 : f32[T,4] tiles<16>
  %9 = slice %3 {begin = 0, end = 1} : f32[T,1] tiles<16>
  return "a" = %6, "b" = %8, "c" = %9, "x" = %1
}

; Only the last of a chain of reshapes or of relayouts counts, and none where the type comes back.
graph @chains (T <= 64) {
  %1 = input {name = "x"} : f32[T,2,3]
  %2 = reshape %1 : f32[T,6]
  %3 = reshape %2 : f32[6*T]
  %4 = reshape %3 : f32[T,3,2]
  %5 = reshape %4 : f32[T,2,3]
  %6 = reshape %3 : f32[6*T]
  %7 = reshape %2 : f32[T,6]
  %8 = relayout %7 : f32[T,6] tiles<16>
  %9 = relayout %8 : f32[T,6] tiles<32>
  %10 = relayout %9 : f32[T,6]
  %11 = relayout %9 : f32[T,6] tiles<32>
  %12 = tanh %11 : f32[T,6] tiles<32>
  %13 = relayout %12 : f32[T,6]
  return "same" = %5, "flat" = %6, "rows" = %10, "y" = %13
}

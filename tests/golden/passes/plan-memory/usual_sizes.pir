; pipeline: plan-memory{rows=8}
; With 8 rows a [T,2] has 64 bytes, fewer than an [8,4], though not at the bounds: %4 and %6 get slots first, and %3 and %7 stand in
; these before %6 and after %4
graph @g (T <= 512) {
  %1 = input {name = "x"} : f32[T,2]
  %2 = state {name = "w"} : f32[8,4]
  %3 = tanh %1 : f32[T,2]
  %4 = tanh %2 : f32[8,4]
  %5 = tanh %3 : f32[T,2]
  %6 = tanh %4 : f32[8,4]
  %7 = tanh %5 : f32[T,2]
  return "a" = %7, "b" = %6
}

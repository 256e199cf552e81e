; Groups and slots are dropped. The node behind the first gather of its rows is made at the second.
graph @marks (M <= 8, T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = input {name = "i"} : i32[M]
  %3 = tanh %1 {group = 1} : f32[T,4]
  %4 = relu %3 {group = 1, slot = [0]} : f32[T,4]
  %5 = gather_rows %4, %2 : f32[M,4]
  %6 = gelu %1 : f32[T,4]
  %7 = gather_rows %6, %2 {slot = [1]} : f32[M,4]
  return "a" = %5, "b" = %7
}

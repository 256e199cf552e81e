; A group is one step: what stays inside has no slot, what its first node reads lives to its last one.
graph @groups (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = tanh %1 : f32[T,4]
  %3 = tanh %1 : f32[T,4]
  %4 = tanh %2 {group = 1} : f32[T,4]
  %5 = add %4, %3 {group = 1} : f32[T,4]
  %6 = relu %5 {group = 1} : f32[T,4]
  %7 = tanh %6 : f32[T,4]
  return "y" = %7, "z" = %4
}

; a graph that trains nothing stays, without the marks of other passes
graph @g (T <= 512) {
  %1 = input {name = "x"} : f32[T,64]
  %2 = gelu %1 {group = 1} : f32[T,64]
  %3 = tanh %2 {group = 1, slot = [0]} : f32[T,64]
  %4 = gelu_gradient %2, %3 : f32[T,64]
  return "y" = %4
}

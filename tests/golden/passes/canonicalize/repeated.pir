; relu of relu, and a cast to the type that is there. Other casts round, and stay.
graph @repeated (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = relu %1 : f32[T,4]
  %3 = relu %2 : f32[T,4]
  %4 = relu %3 : f32[T,4]
  %5 = cast %4 : f32[T,4]
  %6 = cast %5 : bf16[T,4]
  %7 = cast %6 : f32[T,4]
  %8 = tanh %7 : f32[T,4]
  %9 = tanh %8 : f32[T,4]
  return "y" = %9
}

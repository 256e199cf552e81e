; pipeline: prune,autodiff,dce
graph @step (T <= 512) {
  %1 = input {name = "x"} : f32[T,8]
  %2 = state {name = "pruned.w"} : f32[4,8]
  %3 = state {name = "b"} : f32[4]
  %4 = linear %1, %2, %3 : f32[T,4]
  %5 = input {name = "y"} : f32[T,4]
  %6 = mean_squared_error %4, %5 : f32[]
  return "loss" = %6
}

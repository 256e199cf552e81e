; pipeline: quantize{begin=5},autodiff,dce
graph @step (T <= 512) {
  %1 = input {name = "x"} : f32[T,8]
  %2 = state {name = "whole.query.weight"} : f32[4,8]
  %3 = state {name = "b"} : f32[4]
  scope "query"
  %4 = linear %1, %2, %3 : f32[T,4]
  scope "value"
  %5 = state {name = "value.weight"} : f32[4,8]
  %6 = linear %1, %5 : f32[T,4]
  scope "classifier"
  %7 = state {name = "float.classifier.weight"} : f32[4,4]
  %8 = add %4, %6 : f32[T,4]
  %9 = linear %8, %7 : f32[T,4]
  %10 = input {name = "y"} : f32[T,4]
  %11 = mean_squared_error %9, %10 : f32[]
  return "loss" = %11
}

; pipeline: quantize{trained=0},lower-int8,dce
; One quantize for what two linears read; the result of whole.up goes to 8 bits within its product; gelu between it and the next quantize; float.head stays.
graph @feed_forward (T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  scope "whole.up"
  %2 = state {name = "whole.up.weight"} : f32[8,4]
  %3 = state {name = "whole.up.bias"} : f32[8]
  %4 = linear %1, %2, %3 : f32[T,8]
  %5 = gelu %4 : f32[T,8]
  scope "down"
  %6 = state {name = "down.weight"} : f32[4,8]
  %7 = linear %5, %6 : f32[T,4]
  scope "beside"
  %8 = pattern {name = "beside.weight"} : pattern[4,4]
  %9 = state {name = "beside.weight"} : f32[nnz(%8)]
  %10 = linear %1, %9, _, %8 : f32[T,4]
  scope ""
  %11 = add %7, %10 : f32[T,4]
  scope "float.head"
  %12 = state {name = "float.head.weight"} : f32[2,4]
  %13 = linear %11, %12 : f32[T,2]
  return "y" = %13
}

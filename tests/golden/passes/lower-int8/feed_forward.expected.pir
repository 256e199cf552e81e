graph @feed_forward (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  scope "whole.up"
  %2 = state {name = "whole.up.weight"}                                  : f32[8,4]
  %3 = state {name = "whole.up.bias"}                                    : f32[8]
  %4 = state {frozen = true, name = "whole.up.input_range"}              : f32[2]
  %5 = state {frozen = true, name = "whole.up.weight_range"}             : f32[2]
  %6 = state {frozen = true, name = "whole.up.output_range"}             : f32[2]
  %7 = quantize %1, %4                                                   : u8[T,4]
  %8 = linear_int8 %7, %4, %2, %5, %3, %6                                : f32[T,8]
  %9 = gelu %8                                                           : f32[T,8]
  scope "down"
  %10 = state {name = "down.weight"}                                     : f32[4,8]
  %11 = state {frozen = true, name = "down.input_range"}                 : f32[2]
  %12 = state {frozen = true, name = "down.weight_range"}                : f32[2]
  %13 = quantize %9, %11                                                 : u8[T,8]
  %14 = linear_int8 %13, %11, %10, %12                                   : f32[T,4]
  scope "beside"
  %15 = pattern {name = "beside.weight"}                                 : pattern[4,4]
  %16 = state {name = "beside.weight"}                                   : f32[nnz(%15)]
  %17 = state {frozen = true, name = "beside.weight_range"}              : f32[2]
  %18 = linear_int8 %7, %4, %16, %17, _, _, %15                          : f32[T,4]
  scope ""
  %19 = add %14, %18                                                     : f32[T,4]
  scope "float.head"
  %20 = state {name = "float.head.weight"}                               : f32[2,4]
  %21 = linear %19, %20                                                  : f32[T,2]
  return "y" = %21
}

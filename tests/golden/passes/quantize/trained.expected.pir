graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = state {name = "whole.query.weight"}                               : f32[4,8]
  %3 = state {name = "b"}                                                : f32[4]
  scope "query"
  %4 = state {frozen = true, name = "whole.query.input_range"}           : f32[2]
  %5 = input {name = "forward"}                                          : i64[]
  %6 = observe_range %1, %4, %5 {begin = 5}                              : f32[2]
  %7 = fake_quantize %1, %6, %5 {begin = 5}                              : f32[T,8]
  %8 = state {frozen = true, name = "whole.query.weight_range"}          : f32[2]
  %9 = observe_range %2, %8, %5 {averaging = 0, begin = 5}               : f32[2]
  %10 = fake_quantize %2, %9, %5 {begin = 5, scheme = "symmetric"}       : f32[4,8]
  %11 = linear %7, %10, %3                                               : f32[T,4]
  %12 = state {frozen = true, name = "whole.query.output_range"}         : f32[2]
  %13 = observe_range %11, %12, %5 {begin = 5}                           : f32[2]
  %14 = fake_quantize %11, %13, %5 {begin = 5}                           : f32[T,4]
  scope "value"
  %15 = state {name = "value.weight"}                                    : f32[4,8]
  %16 = state {frozen = true, name = "value.weight_range"}               : f32[2]
  %17 = observe_range %15, %16, %5 {averaging = 0, begin = 5}            : f32[2]
  %18 = fake_quantize %15, %17, %5 {begin = 5, scheme = "symmetric"}     : f32[4,8]
  %19 = linear %7, %18                                                   : f32[T,4]
  scope "classifier"
  %20 = state {name = "float.classifier.weight"}                         : f32[4,4]
  %21 = add %14, %19                                                     : f32[T,4]
  %22 = linear %21, %20                                                  : f32[T,4]
  %23 = input {name = "y"}                                               : f32[T,4]
  %24 = mean_squared_error %22, %23                                      : f32[]
  %25 = constant {value = [1]}                                           : f32[]
  %26 = mean_squared_error_gradient %22, %23, %25                        : f32[T,4]
  %27:2 = linear_weight_gradient %21, %26                                : f32[4,4], f32[4]
  %28 = linear_input_gradient %26, %20                                   : f32[T,4]
  scope "value"
  %29:2 = linear_weight_gradient %7, %28                                 : f32[4,8], f32[4]
  %30 = fake_quantize_gradient %29, %15, %17, %5 {begin = 5, scheme = "symmetric"} : f32[4,8]
  scope "query"
  %31 = fake_quantize_gradient %28, %11, %13, %5 {begin = 5}             : f32[T,4]
  %32:2 = linear_weight_gradient %7, %31                                 : f32[4,8], f32[4]
  %33 = fake_quantize_gradient %32, %2, %9, %5 {begin = 5, scheme = "symmetric"} : f32[4,8]
  return "gradient.whole.query.weight" = %33,
         "gradient.b" = %32#1,
         "gradient.value.weight" = %30,
         "gradient.float.classifier.weight" = %27,
         "whole.query.input_range" = %6,
         "whole.query.weight_range" = %9,
         "whole.query.output_range" = %13,
         "value.weight_range" = %17,
         "loss" = %24
}

graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = pattern {name = "channels.sparse.weight"}                         : pattern[4,8]
  %3 = state {name = "channels.sparse.weight"}                           : f32[nnz(%2)]
  %4 = state {name = "channels.dense.weight"}                            : f32[4,4]
  scope "sparse"
  %5 = state {frozen = true, name = "channels.sparse.input_range"}       : f32[2]
  %6 = input {name = "forward"}                                          : i64[]
  %7 = observe_range %1, %5, %6                                          : f32[2]
  %8 = fake_quantize %1, %7, %6                                          : f32[T,8]
  %9 = state {frozen = true, name = "channels.sparse.weight_range"}      : f32[4,2]
  %10 = observe_range %3, %9, %6, %2 {averaging = 0}                     : f32[4,2]
  %11 = fake_quantize %3, %10, %6, %2 {scheme = "symmetric"}             : f32[nnz(%2)]
  %12 = linear %8, %11, _, %2                                            : f32[T,4]
  scope "dense"
  %13 = state {frozen = true, name = "channels.dense.input_range"}       : f32[2]
  %14 = observe_range %12, %13, %6                                       : f32[2]
  %15 = fake_quantize %12, %14, %6                                       : f32[T,4]
  %16 = state {frozen = true, name = "channels.dense.weight_range"}      : f32[4,2]
  %17 = observe_range %4, %16, %6 {averaging = 0}                        : f32[4,2]
  %18 = fake_quantize %4, %17, %6 {scheme = "symmetric"}                 : f32[4,4]
  %19 = linear %15, %18                                                  : f32[T,4]
  %20 = input {name = "y"}                                               : f32[T,4]
  %21 = mean_squared_error %19, %20                                      : f32[]
  %22 = constant {value = [1]}                                           : f32[]
  %23 = mean_squared_error_gradient %19, %20, %22                        : f32[T,4]
  %24:2 = linear_weight_gradient %15, %23                                : f32[4,4], f32[4]
  %25 = linear_input_gradient %23, %18                                   : f32[T,4]
  %26 = fake_quantize_gradient %24, %4, %17, %6 {scheme = "symmetric"}   : f32[4,4]
  %27 = fake_quantize_gradient %25, %12, %14, %6                         : f32[T,4]
  scope "sparse"
  %28:2 = linear_weight_gradient %8, %27, %2                             : f32[nnz(%2)], f32[4]
  %29 = fake_quantize_gradient %28, %3, %10, %6, %2 {scheme = "symmetric"} : f32[nnz(%2)]
  return "gradient.channels.sparse.weight" = %29,
         "gradient.channels.dense.weight" = %26,
         "channels.sparse.input_range" = %7,
         "channels.sparse.weight_range" = %10,
         "channels.dense.input_range" = %14,
         "channels.dense.weight_range" = %17,
         "loss" = %21
}

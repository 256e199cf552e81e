graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,32]
  %2 = input {name = "keys"}                                             : i64[T]
  %3 = input {name = "random"}                                           : i64[2]
  %4 = input {name = "target"}                                           : f32[T,32]
  scope "layer.0"
  %5 = state {name = "wide.0"}                                           : f32[64,32]
  %6 = linear %1, %5                                                     : f32[T,64]
  %7 = gelu %6                                                           : f32[T,64]
  %8 = state {name = "narrow.0"}                                         : f32[32,64]
  %9 = linear %7, %8                                                     : f32[T,32]
  %10 = dropout %9, %2, %3 {rate = 0.1, stream = 0}                      : f32[T,32]
  %11 = add %1, %10                                                      : f32[T,32]
  %12 = state {name = "gamma.0"}                                         : f32[32]
  %13 = state {name = "beta.0"}                                          : f32[32]
  %14:3 = layer_norm %11, %12, %13 {eps = 1e-06}                         : f32[T,32], f32[T], f32[T]
  scope "layer.1"
  %15 = state {name = "wide.1"}                                          : f32[64,32]
  %16 = linear %14, %15                                                  : f32[T,64]
  %17 = gelu %16                                                         : f32[T,64]
  %18 = state {name = "narrow.1"}                                        : f32[32,64]
  %19 = linear %17, %18                                                  : f32[T,32]
  %20 = dropout %19, %2, %3 {rate = 0.1, stream = 1}                     : f32[T,32]
  %21 = add %14, %20                                                     : f32[T,32]
  %22 = state {name = "gamma.1"}                                         : f32[32]
  %23 = state {name = "beta.1"}                                          : f32[32]
  %24:3 = layer_norm %21, %22, %23 {eps = 1e-06}                         : f32[T,32], f32[T], f32[T]
  scope "head"
  %25 = state {name = "head"}                                            : f32[32,32]
  %26 = linear %24, %25                                                  : f32[T,32]
  %27 = mean_squared_error %26, %4                                       : f32[]
  %28 = constant {value = [1]}                                           : f32[]
  %29 = mean_squared_error_gradient %26, %4, %28                         : f32[T,32]
  %30:2 = linear_weight_gradient %24, %29                                : f32[32,32], f32[32]
  %31 = linear_input_gradient %29, %25                                   : f32[T,32]
  scope "layer.1"
  %32:3 = layer_norm_gradient %21, %31, %22, %24#1, %24#2                : f32[T,32], f32[32], f32[32]
  %33 = dropout %32, %2, %3 {rate = 0.1, stream = 1}                     : f32[T,32]
  %34:2 = linear_weight_gradient %17, %33                                : f32[32,64], f32[32]
  %35 = linear_input_gradient %33, %18                                   : f32[T,64]
  %36 = gelu_gradient %16, %35                                           : f32[T,64]
  %37:2 = linear_weight_gradient %14, %36                                : f32[64,32], f32[64]
  %38 = linear_input_gradient %36, %15                                   : f32[T,32]
  %39 = add %32, %38                                                     : f32[T,32]
  scope "layer.0"
  %40:3 = layer_norm_gradient %11, %39, %12, %14#1, %14#2                : f32[T,32], f32[32], f32[32]
  %41 = dropout %40, %2, %3 {rate = 0.1, stream = 0}                     : f32[T,32]
  %42:2 = linear_weight_gradient %7, %41                                 : f32[32,64], f32[32]
  %43 = linear_input_gradient %41, %8                                    : f32[T,64]
  %44 = gelu_gradient %6, %43                                            : f32[T,64]
  %45:2 = linear_weight_gradient %1, %44                                 : f32[64,32], f32[64]
  return "gradient.wide.0" = %45,
         "gradient.narrow.0" = %42,
         "gradient.gamma.0" = %40#1,
         "gradient.beta.0" = %40#2,
         "gradient.wide.1" = %37,
         "gradient.narrow.1" = %34,
         "gradient.gamma.1" = %32#1,
         "gradient.beta.1" = %32#2,
         "gradient.head" = %30,
         "loss" = %27
}

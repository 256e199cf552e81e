graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,32]
  %2 = input {name = "keys"}                                             : i64[T]
  %3 = input {name = "random"}                                           : i64[2]
  %4 = input {name = "target"}                                           : f32[T,32]
  scope "layer.0"
  %5 = state {name = "wide.0"}                                           : f32[64,32]
  %6 = linear %1, %5                                                     : f32[T,64]
  %7 = cast %6                                                           : bf16[T,64]
  %8 = gelu %6                                                           : f32[T,64]
  %9 = state {name = "narrow.0"}                                         : f32[32,64]
  %10 = linear %8, %9                                                    : f32[T,32]
  %11 = dropout %10, %2, %3 {rate = 0.1, stream = 0}                     : f32[T,32]
  %12 = add %11, %1                                                      : f32[T,32]
  %13 = cast %12                                                         : bf16[T,32]
  %14 = state {name = "gamma.0"}                                         : f32[32]
  %15 = state {name = "beta.0"}                                          : f32[32]
  %16:3 = layer_norm %12, %14, %15 {eps = 1e-06}                         : f32[T,32], f32[T], f32[T]
  scope "layer.1"
  %17 = state {name = "wide.1"}                                          : f32[64,32]
  %18 = linear %16, %17                                                  : f32[T,64]
  %19 = cast %18                                                         : bf16[T,64]
  %20 = gelu %18                                                         : f32[T,64]
  %21 = state {name = "narrow.1"}                                        : f32[32,64]
  %22 = linear %20, %21                                                  : f32[T,32]
  %23 = dropout %22, %2, %3 {rate = 0.1, stream = 1}                     : f32[T,32]
  %24 = add %23, %16                                                     : f32[T,32]
  %25 = cast %24                                                         : bf16[T,32]
  %26 = state {name = "gamma.1"}                                         : f32[32]
  %27 = state {name = "beta.1"}                                          : f32[32]
  %28:3 = layer_norm %24, %26, %27 {eps = 1e-06}                         : f32[T,32], f32[T], f32[T]
  scope "head"
  %29 = state {name = "head"}                                            : f32[32,32]
  %30 = linear %28, %29                                                  : f32[T,32]
  %31 = mean_squared_error %30, %4                                       : f32[]
  %32 = constant {value = [1]}                                           : f32[]
  %33 = mean_squared_error_gradient %30, %4, %32                         : f32[T,32]
  %34:2 = linear_weight_gradient %28, %33                                : f32[32,32], f32[32]
  %35 = linear_input_gradient %33, %29                                   : f32[T,32]
  scope "layer.1"
  %36 = cast %25                                                         : f32[T,32]
  %37:3 = layer_norm_gradient %36, %35, %26, %28#1, %28#2                : f32[T,32], f32[32], f32[32]
  %38 = dropout %37, %2, %3 {rate = 0.1, stream = 1}                     : f32[T,32]
  %39 = cast %19                                                         : f32[T,64]
  %40 = gelu %39                                                         : f32[T,64]
  %41:2 = linear_weight_gradient %40, %38                                : f32[32,64], f32[32]
  %42 = linear_input_gradient %38, %21                                   : f32[T,64]
  %43 = gelu_gradient %39, %42                                           : f32[T,64]
  scope "layer.0"
  %44 = cast %13                                                         : f32[T,32]
  %45:3 = layer_norm %44, %14, %15 {eps = 1e-06}                         : f32[T,32], f32[T], f32[T]
  scope "layer.1"
  %46:2 = linear_weight_gradient %45, %43                                : f32[64,32], f32[64]
  %47 = linear_input_gradient %43, %17                                   : f32[T,32]
  %48 = add %37, %47                                                     : f32[T,32]
  scope "layer.0"
  %49:3 = layer_norm_gradient %44, %48, %14, %16#1, %16#2                : f32[T,32], f32[32], f32[32]
  %50 = dropout %49, %2, %3 {rate = 0.1, stream = 0}                     : f32[T,32]
  %51 = cast %7                                                          : f32[T,64]
  %52 = gelu %51                                                         : f32[T,64]
  %53:2 = linear_weight_gradient %52, %50                                : f32[32,64], f32[32]
  %54 = linear_input_gradient %50, %9                                    : f32[T,64]
  %55 = gelu_gradient %51, %54                                           : f32[T,64]
  %56:2 = linear_weight_gradient %1, %55                                 : f32[64,32], f32[64]
  return "gradient.wide.0" = %56,
         "gradient.narrow.0" = %53,
         "gradient.gamma.0" = %49#1,
         "gradient.beta.0" = %49#2,
         "gradient.wide.1" = %46,
         "gradient.narrow.1" = %41,
         "gradient.gamma.1" = %37#1,
         "gradient.beta.1" = %37#2,
         "gradient.head" = %34,
         "loss" = %31
}

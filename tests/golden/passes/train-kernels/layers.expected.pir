graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,32]
  %2 = input {name = "keys"}                                             : i64[T]
  %3 = input {name = "random"}                                           : i64[2]
  %4 = input {name = "target"}                                           : f32[T,32]
  scope "layer.0"
  %5 = state {name = "wide.0"}                                           : f32[64,32]
  %6 = relayout %1                                                       : f32[T,32] tiles<32>
  %7 = linear %6, %5                                                     : f32[T,64] tiles<32>
  %8 = gelu %7                                                           : f32[T,64] tiles<32>
  %9 = state {name = "narrow.0"}                                         : f32[32,64]
  %10 = linear %8, %9                                                    : f32[T,32] tiles<32>
  %11 = dropout %10, %2, %3 {rate = 0.1, stream = 0}                     : f32[T,32] tiles<32>
  %12 = add %6, %11                                                      : f32[T,32] tiles<32>
  %13 = state {name = "gamma.0"}                                         : f32[32]
  %14 = state {name = "beta.0"}                                          : f32[32]
  %15:3 = layer_norm %12, %13, %14 {eps = 1e-06}                         : f32[T,32] tiles<32>, f32[T], f32[T]
  scope "layer.1"
  %16 = state {name = "wide.1"}                                          : f32[64,32]
  %17 = linear %15, %16                                                  : f32[T,64] tiles<32>
  %18 = gelu %17                                                         : f32[T,64] tiles<32>
  %19 = state {name = "narrow.1"}                                        : f32[32,64]
  %20 = linear %18, %19                                                  : f32[T,32] tiles<32>
  %21 = dropout %20, %2, %3 {rate = 0.1, stream = 1}                     : f32[T,32] tiles<32>
  %22 = add %15, %21                                                     : f32[T,32] tiles<32>
  %23 = state {name = "gamma.1"}                                         : f32[32]
  %24 = state {name = "beta.1"}                                          : f32[32]
  %25:3 = layer_norm %22, %23, %24 {eps = 1e-06}                         : f32[T,32] tiles<32>, f32[T], f32[T]
  scope "head"
  %26 = state {name = "head"}                                            : f32[32,32]
  %27 = linear %25, %26                                                  : f32[T,32] tiles<32>
  %28 = relayout %27                                                     : f32[T,32]
  %29 = mean_squared_error %28, %4                                       : f32[]
  %30 = constant {value = [1]}                                           : f32[]
  %31 = mean_squared_error_gradient %28, %4, %30                         : f32[T,32]
  %32 = relayout %31                                                     : f32[T,32] tiles<32>
  %33:2 = linear_weight_gradient %25, %32                                : f32[32,32], f32[32]
  %34 = linear_input_gradient %32, %26                                   : f32[T,32] tiles<32>
  scope "layer.1"
  %35:3 = layer_norm_gradient %22, %34, %23, %25#1, %25#2                : f32[T,32] tiles<32>, f32[32], f32[32]
  %36 = dropout %35, %2, %3 {rate = 0.1, stream = 1}                     : f32[T,32] tiles<32>
  %37:2 = linear_weight_gradient %18, %36                                : f32[32,64], f32[32]
  %38 = linear_input_gradient %36, %19                                   : f32[T,64] tiles<32>
  %39 = gelu_gradient %17, %38                                           : f32[T,64] tiles<32>
  %40:2 = linear_weight_gradient %15, %39                                : f32[64,32], f32[64]
  %41 = linear_input_gradient %39, %16                                   : f32[T,32] tiles<32>
  %42 = add %35, %41                                                     : f32[T,32] tiles<32>
  scope "layer.0"
  %43:3 = layer_norm_gradient %12, %42, %13, %15#1, %15#2                : f32[T,32] tiles<32>, f32[32], f32[32]
  %44 = dropout %43, %2, %3 {rate = 0.1, stream = 0}                     : f32[T,32] tiles<32>
  %45:2 = linear_weight_gradient %8, %44                                 : f32[32,64], f32[32]
  %46 = linear_input_gradient %44, %9                                    : f32[T,64] tiles<32>
  %47 = gelu_gradient %7, %46                                            : f32[T,64] tiles<32>
  %48:2 = linear_weight_gradient %6, %47                                 : f32[64,32], f32[64]
  scope "optimizer"
  %49 = input {name = "learning_rate"}                                   : f32[]
  %50 = sum_of_squares %48                                               : f32[]
  %51 = sum_of_squares %45                                               : f32[]
  %52 = add %50, %51                                                     : f32[]
  %53 = sum_of_squares %43#1                                             : f32[]
  %54 = add %52, %53                                                     : f32[]
  %55 = sum_of_squares %43#2                                             : f32[]
  %56 = add %54, %55                                                     : f32[]
  %57 = sum_of_squares %40                                               : f32[]
  %58 = add %56, %57                                                     : f32[]
  %59 = sum_of_squares %37                                               : f32[]
  %60 = add %58, %59                                                     : f32[]
  %61 = sum_of_squares %35#1                                             : f32[]
  %62 = add %60, %61                                                     : f32[]
  %63 = sum_of_squares %35#2                                             : f32[]
  %64 = add %62, %63                                                     : f32[]
  %65 = sum_of_squares %33                                               : f32[]
  %66 = add %64, %65                                                     : f32[]
  %67 = sqrt %66                                                         : f32[]
  %68 = clip_factor %67 {max_norm = 1}                                   : f32[]
  %69 = input {name = "step"}                                            : i64[]
  %70 = state {name = "wide.0.exp_avg"}                                  : f32[64,32]
  %71 = state {name = "wide.0.exp_avg_sq"}                               : f32[64,32]
  %72:3 = adamw %5, %48, %70, %71, %49, %68, %69                         : f32[64,32], f32[64,32], f32[64,32]
  %73 = state {name = "narrow.0.exp_avg"}                                : f32[32,64]
  %74 = state {name = "narrow.0.exp_avg_sq"}                             : f32[32,64]
  %75:3 = adamw %9, %45, %73, %74, %49, %68, %69                         : f32[32,64], f32[32,64], f32[32,64]
  %76 = state {name = "gamma.0.exp_avg"}                                 : f32[32]
  %77 = state {name = "gamma.0.exp_avg_sq"}                              : f32[32]
  %78:3 = adamw %13, %43#1, %76, %77, %49, %68, %69                      : f32[32], f32[32], f32[32]
  %79 = state {name = "beta.0.exp_avg"}                                  : f32[32]
  %80 = state {name = "beta.0.exp_avg_sq"}                               : f32[32]
  %81:3 = adamw %14, %43#2, %79, %80, %49, %68, %69                      : f32[32], f32[32], f32[32]
  %82 = state {name = "wide.1.exp_avg"}                                  : f32[64,32]
  %83 = state {name = "wide.1.exp_avg_sq"}                               : f32[64,32]
  %84:3 = adamw %16, %40, %82, %83, %49, %68, %69                        : f32[64,32], f32[64,32], f32[64,32]
  %85 = state {name = "narrow.1.exp_avg"}                                : f32[32,64]
  %86 = state {name = "narrow.1.exp_avg_sq"}                             : f32[32,64]
  %87:3 = adamw %19, %37, %85, %86, %49, %68, %69                        : f32[32,64], f32[32,64], f32[32,64]
  %88 = state {name = "gamma.1.exp_avg"}                                 : f32[32]
  %89 = state {name = "gamma.1.exp_avg_sq"}                              : f32[32]
  %90:3 = adamw %23, %35#1, %88, %89, %49, %68, %69                      : f32[32], f32[32], f32[32]
  %91 = state {name = "beta.1.exp_avg"}                                  : f32[32]
  %92 = state {name = "beta.1.exp_avg_sq"}                               : f32[32]
  %93:3 = adamw %24, %35#2, %91, %92, %49, %68, %69                      : f32[32], f32[32], f32[32]
  %94 = state {name = "head.exp_avg"}                                    : f32[32,32]
  %95 = state {name = "head.exp_avg_sq"}                                 : f32[32,32]
  %96:3 = adamw %26, %33, %94, %95, %49, %68, %69                        : f32[32,32], f32[32,32], f32[32,32]
  return "grad_norm" = %67,
         "wide.0" = %72,
         "wide.0.exp_avg" = %72#1,
         "wide.0.exp_avg_sq" = %72#2,
         "narrow.0" = %75,
         "narrow.0.exp_avg" = %75#1,
         "narrow.0.exp_avg_sq" = %75#2,
         "gamma.0" = %78,
         "gamma.0.exp_avg" = %78#1,
         "gamma.0.exp_avg_sq" = %78#2,
         "beta.0" = %81,
         "beta.0.exp_avg" = %81#1,
         "beta.0.exp_avg_sq" = %81#2,
         "wide.1" = %84,
         "wide.1.exp_avg" = %84#1,
         "wide.1.exp_avg_sq" = %84#2,
         "narrow.1" = %87,
         "narrow.1.exp_avg" = %87#1,
         "narrow.1.exp_avg_sq" = %87#2,
         "gamma.1" = %90,
         "gamma.1.exp_avg" = %90#1,
         "gamma.1.exp_avg_sq" = %90#2,
         "beta.1" = %93,
         "beta.1.exp_avg" = %93#1,
         "beta.1.exp_avg_sq" = %93#2,
         "head" = %96,
         "head.exp_avg" = %96#1,
         "head.exp_avg_sq" = %96#2,
         "loss" = %29
}

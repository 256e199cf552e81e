graph @step (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,32]
  %2 = input {name = "keys"}                                             : i64[T]
  %3 = input {name = "random"}                                           : i64[2]
  %4 = input {name = "target"}                                           : f32[T,32]
  scope "layer.0"
  %5 = state {name = "wide.0"}                                           : f32[64,32]
  %6 = relayout %1 {slot = [0]}                                          : f32[T,32] tiles<32>
  %7 = linear %6, %5 {group = 1, slot = [1]}                             : f32[T,64] tiles<32>
  %8 = gelu %7 {group = 1, slot = [2]}                                   : f32[T,64] tiles<32>
  %9 = state {name = "narrow.0"}                                         : f32[32,64]
  %10 = linear %8, %9 {group = 2}                                        : f32[T,32] tiles<32>
  %11 = dropout %10, %2, %3 {group = 2, rate = 0.1, stream = 0}          : f32[T,32] tiles<32>
  %12 = add %6, %11 {group = 2, slot = [3]}                              : f32[T,32] tiles<32>
  %13 = state {name = "gamma.0"}                                         : f32[32]
  %14 = state {name = "beta.0"}                                          : f32[32]
  %15:3 = layer_norm %12, %13, %14 {eps = 1e-06, slot = [0, 4, 5]}       : f32[T,32] tiles<32>, f32[T], f32[T]
  scope "layer.1"
  %16 = state {name = "wide.1"}                                          : f32[64,32]
  %17 = linear %15, %16 {group = 3, slot = [2]}                          : f32[T,64] tiles<32>
  %18 = gelu %17 {group = 3, slot = [6]}                                 : f32[T,64] tiles<32>
  %19 = state {name = "narrow.1"}                                        : f32[32,64]
  %20 = linear %18, %19 {group = 4}                                      : f32[T,32] tiles<32>
  %21 = dropout %20, %2, %3 {group = 4, rate = 0.1, stream = 1}          : f32[T,32] tiles<32>
  %22 = add %15, %21 {group = 4, slot = [7]}                             : f32[T,32] tiles<32>
  %23 = state {name = "gamma.1"}                                         : f32[32]
  %24 = state {name = "beta.1"}                                          : f32[32]
  %25:3 = layer_norm %22, %23, %24 {eps = 1e-06, slot = [0, 8, 9]}       : f32[T,32] tiles<32>, f32[T], f32[T]
  scope "head"
  %26 = state {name = "head"}                                            : f32[32,32]
  %27 = linear %25, %26 {slot = [10]}                                    : f32[T,32] tiles<32>
  %28 = relayout %27 {slot = [11]}                                       : f32[T,32]
  %29 = mean_squared_error %28, %4 {slot = [12]}                         : f32[]
  %30 = constant {value = [1]}                                           : f32[]
  %31 = mean_squared_error_gradient %28, %4, %30 {slot = [13]}           : f32[T,32]
  %32 = relayout %31 {slot = [10]}                                       : f32[T,32] tiles<32>
  %33:2 = linear_weight_gradient %25, %32 {slot = [14, -1]}              : f32[32,32], f32[32]
  %34 = linear_input_gradient %32, %26 {slot = [0]}                      : f32[T,32] tiles<32>
  scope "layer.1"
  %35:3 = layer_norm_gradient %22, %34, %23, %25#1, %25#2 {group = 5, slot = [10, 16, 17]} : f32[T,32] tiles<32>, f32[32], f32[32]
  %36 = dropout %35, %2, %3 {group = 5, rate = 0.1, slot = [15], stream = 1} : f32[T,32] tiles<32>
  %37 = gelu %17 {slot = [6]}                                            : f32[T,64] tiles<32>
  %38:2 = linear_weight_gradient %37, %36 {slot = [13, -1]}              : f32[32,64], f32[32]
  %39 = linear_input_gradient %36, %19 {group = 6}                       : f32[T,64] tiles<32>
  %40 = gelu_gradient %17, %39 {group = 6, slot = [6]}                   : f32[T,64] tiles<32>
  scope "layer.0"
  %41:3 = layer_norm %12, %13, %14 {eps = 1e-06, slot = [15, -1, -1]}    : f32[T,32] tiles<32>, f32[T], f32[T]
  scope "layer.1"
  %42:2 = linear_weight_gradient %41, %40 {slot = [11, -1]}              : f32[64,32], f32[64]
  %43 = linear_input_gradient %40, %16 {group = 7}                       : f32[T,32] tiles<32>
  %44 = add %35, %43 {group = 7, slot = [15]}                            : f32[T,32] tiles<32>
  scope "layer.0"
  %45:3 = layer_norm_gradient %12, %44, %13, %15#1, %15#2 {group = 8, slot = [-1, 8, 9]} : f32[T,32] tiles<32>, f32[32], f32[32]
  %46 = dropout %45, %2, %3 {group = 8, rate = 0.1, slot = [10], stream = 0} : f32[T,32] tiles<32>
  %47 = gelu %7 {slot = [6]}                                             : f32[T,64] tiles<32>
  %48:2 = linear_weight_gradient %47, %46 {slot = [4, -1]}               : f32[32,64], f32[32]
  %49 = linear_input_gradient %46, %9 {group = 9}                        : f32[T,64] tiles<32>
  %50 = gelu_gradient %7, %49 {group = 9, slot = [6]}                    : f32[T,64] tiles<32>
  %51 = relayout %1 {slot = [10]}                                        : f32[T,32] tiles<32>
  %52:2 = linear_weight_gradient %51, %50 {slot = [5, -1]}               : f32[64,32], f32[64]
  scope "optimizer"
  %53 = input {name = "learning_rate"}                                   : f32[]
  %54 = sum_of_squares %52 {slot = [18]}                                 : f32[]
  %55 = sum_of_squares %48 {slot = [19]}                                 : f32[]
  %56 = add %54, %55 {slot = [20]}                                       : f32[]
  %57 = sum_of_squares %45#1 {slot = [18]}                               : f32[]
  %58 = add %56, %57 {slot = [19]}                                       : f32[]
  %59 = sum_of_squares %45#2 {slot = [18]}                               : f32[]
  %60 = add %58, %59 {slot = [20]}                                       : f32[]
  %61 = sum_of_squares %42 {slot = [18]}                                 : f32[]
  %62 = add %60, %61 {slot = [19]}                                       : f32[]
  %63 = sum_of_squares %38 {slot = [18]}                                 : f32[]
  %64 = add %62, %63 {slot = [20]}                                       : f32[]
  %65 = sum_of_squares %35#1 {slot = [18]}                               : f32[]
  %66 = add %64, %65 {slot = [19]}                                       : f32[]
  %67 = sum_of_squares %35#2 {slot = [18]}                               : f32[]
  %68 = add %66, %67 {slot = [20]}                                       : f32[]
  %69 = sum_of_squares %33 {slot = [18]}                                 : f32[]
  %70 = add %68, %69 {slot = [19]}                                       : f32[]
  %71 = sqrt %70 {slot = [18]}                                           : f32[]
  %72 = clip_factor %71 {max_norm = 1, slot = [19]}                      : f32[]
  %73 = input {name = "step"}                                            : i64[]
  %74 = state {name = "wide.0.exp_avg"}                                  : f32[64,32]
  %75 = state {name = "wide.0.exp_avg_sq"}                               : f32[64,32]
  %76:3 = adamw %5, %52, %74, %75, %53, %72, %73                         : f32[64,32], f32[64,32], f32[64,32]
  %77 = state {name = "narrow.0.exp_avg"}                                : f32[32,64]
  %78 = state {name = "narrow.0.exp_avg_sq"}                             : f32[32,64]
  %79:3 = adamw %9, %48, %77, %78, %53, %72, %73                         : f32[32,64], f32[32,64], f32[32,64]
  %80 = state {name = "gamma.0.exp_avg"}                                 : f32[32]
  %81 = state {name = "gamma.0.exp_avg_sq"}                              : f32[32]
  %82:3 = adamw %13, %45#1, %80, %81, %53, %72, %73                      : f32[32], f32[32], f32[32]
  %83 = state {name = "beta.0.exp_avg"}                                  : f32[32]
  %84 = state {name = "beta.0.exp_avg_sq"}                               : f32[32]
  %85:3 = adamw %14, %45#2, %83, %84, %53, %72, %73                      : f32[32], f32[32], f32[32]
  %86 = state {name = "wide.1.exp_avg"}                                  : f32[64,32]
  %87 = state {name = "wide.1.exp_avg_sq"}                               : f32[64,32]
  %88:3 = adamw %16, %42, %86, %87, %53, %72, %73                        : f32[64,32], f32[64,32], f32[64,32]
  %89 = state {name = "narrow.1.exp_avg"}                                : f32[32,64]
  %90 = state {name = "narrow.1.exp_avg_sq"}                             : f32[32,64]
  %91:3 = adamw %19, %38, %89, %90, %53, %72, %73                        : f32[32,64], f32[32,64], f32[32,64]
  %92 = state {name = "gamma.1.exp_avg"}                                 : f32[32]
  %93 = state {name = "gamma.1.exp_avg_sq"}                              : f32[32]
  %94:3 = adamw %23, %35#1, %92, %93, %53, %72, %73                      : f32[32], f32[32], f32[32]
  %95 = state {name = "beta.1.exp_avg"}                                  : f32[32]
  %96 = state {name = "beta.1.exp_avg_sq"}                               : f32[32]
  %97:3 = adamw %24, %35#2, %95, %96, %53, %72, %73                      : f32[32], f32[32], f32[32]
  %98 = state {name = "head.exp_avg"}                                    : f32[32,32]
  %99 = state {name = "head.exp_avg_sq"}                                 : f32[32,32]
  %100:3 = adamw %26, %33, %98, %99, %53, %72, %73                       : f32[32,32], f32[32,32], f32[32,32]
  return "grad_norm" = %71,
         "wide.0" = %76,
         "wide.0.exp_avg" = %76#1,
         "wide.0.exp_avg_sq" = %76#2,
         "narrow.0" = %79,
         "narrow.0.exp_avg" = %79#1,
         "narrow.0.exp_avg_sq" = %79#2,
         "gamma.0" = %82,
         "gamma.0.exp_avg" = %82#1,
         "gamma.0.exp_avg_sq" = %82#2,
         "beta.0" = %85,
         "beta.0.exp_avg" = %85#1,
         "beta.0.exp_avg_sq" = %85#2,
         "wide.1" = %88,
         "wide.1.exp_avg" = %88#1,
         "wide.1.exp_avg_sq" = %88#2,
         "narrow.1" = %91,
         "narrow.1.exp_avg" = %91#1,
         "narrow.1.exp_avg_sq" = %91#2,
         "gamma.1" = %94,
         "gamma.1.exp_avg" = %94#1,
         "gamma.1.exp_avg_sq" = %94#2,
         "beta.1" = %97,
         "beta.1.exp_avg" = %97#1,
         "beta.1.exp_avg_sq" = %97#2,
         "head" = %100,
         "head.exp_avg" = %100#1,
         "head.exp_avg_sq" = %100#2,
         "loss" = %29
}

graph @step (B <= 64, T <= 512) {
  %1 = input {name = "input_ids"}                                        : i64[T]
  %2 = input {name = "offsets"}                                          : i32[B+1]
  %3 = input {name = "labels"}                                           : i64[B]
  %4 = state {name = "words"}                                            : f32[100,8]
  %5 = embedding %4, %1 {padding_id = 0}                                 : f32[T,8]
  %6 = pattern {name = "up.weight"}                                      : pattern[16,8]
  %7 = state {name = "up.weight"}                                        : f32[nnz(%6)]
  %8 = state {name = "up.bias"}                                          : f32[16]
  %9 = linear %5, %7, %8, %6                                             : f32[T,16]
  %10 = gelu %9                                                          : f32[T,16]
  %11 = state {frozen = true, name = "down.weight"}                      : f32[8,16]
  %12 = linear %10, %11                                                  : f32[T,8]
  %13 = add %12, %5                                                      : f32[T,8]
  %14 = state {name = "norm.weight"}                                     : f32[8]
  %15 = state {name = "norm.bias"}                                       : f32[8]
  %16:3 = layer_norm %13, %14, %15 {eps = 1e-12}                         : f32[T,8], f32[T], f32[T]
  %17 = first_rows %2                                                    : i32[B]
  %18 = gather_rows %16, %17                                             : f32[B,8]
  %19 = state {name = "words"}                                           : f32[100,8]
  %20 = linear %18, %19                                                  : f32[B,100]
  %21 = cross_entropy %20, %3                                            : f32[]
  %22 = constant {value = [1]}                                           : f32[]
  %23 = cross_entropy_gradient %20, %3, %22                              : f32[B,100]
  %24:2 = linear_weight_gradient %18, %23                                : f32[100,8], f32[100]
  %25 = linear_input_gradient %23, %19                                   : f32[B,8]
  %26 = scatter_rows %25, %17, %1                                        : f32[T,8]
  %27:3 = layer_norm_gradient %13, %26, %14, %16#1, %16#2                : f32[T,8], f32[8], f32[8]
  %28 = linear_input_gradient %27, %11                                   : f32[T,16]
  %29 = gelu_gradient %9, %28                                            : f32[T,16]
  %30:2 = linear_weight_gradient %5, %29, %6                             : f32[nnz(%6)], f32[16]
  %31 = linear_input_gradient %29, %7, %6                                : f32[T,8]
  %32 = add %27, %31                                                     : f32[T,8]
  %33 = embedding_gradient %32, %1 {padding_id = 0}                      : f32[100,8]
  %34 = add %33, %24                                                     : f32[100,8]
  return "gradient.words" = %34,
         "gradient.up.weight" = %30,
         "gradient.up.bias" = %30#1,
         "gradient.norm.weight" = %27#1,
         "gradient.norm.bias" = %27#2,
         "loss" = %21
}

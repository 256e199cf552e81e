graph @step (B <= 64, T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8]
  %2 = input {name = "offsets"}                                          : i32[B+1]
  %3 = input {name = "y"}                                                : f32[T,8]
  %4 = input {name = "keys"}                                             : i64[T]
  %5 = input {name = "random"}                                           : i64[2]
  %6 = state {name = "q"}                                                : f32[8,8]
  %7 = linear %1, %6                                                     : f32[T,8]
  %8:2 = attention %7, %7, %1, %2, _, _, %4, %5 {heads = 2, rate = 0.1, scale = 0.5, stream = 1} : f32[T,8], f32[T,2]
  %9 = dropout %8, %4, %5 {rate = 0.1, stream = 2}                       : f32[T,8]
  %10 = mean_squared_error %9, %3                                        : f32[]
  %11 = constant {value = [0.5]}                                         : f32[]
  %12 = mul %10, %11                                                     : f32[]
  %13 = constant {value = [1]}                                           : f32[]
  %14 = mul %13, %11                                                     : f32[]
  %15 = mean_squared_error_gradient %9, %3, %14                          : f32[T,8]
  %16 = dropout %15, %4, %5 {rate = 0.1, stream = 2}                     : f32[T,8]
  %17:3 = attention_gradient %7, %7, %1, %2, %8, %8#1, %16, _, _, %4, %5 {heads = 2, rate = 0.1, scale = 0.5, stream = 1} : f32[T,8], f32[T,8], f32[T,8]
  %18 = add %17, %17#1                                                   : f32[T,8]
  %19:2 = linear_weight_gradient %1, %18                                 : f32[8,8], f32[8]
  return "gradient.q" = %19,
         "loss" = %12,
         "loss.y" = %10
}

graph @arithmetic (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = constant {value = [2]}                                            : f32[4]
  %3 = constant {value = [1, 2, 3, 4]}                                   : f32[4]
  %4 = constant {value = [3]}                                            : f32[]
  %5 = constant {value = [6]}                                            : f32[4]
  %6 = constant {value = [7, 8, 9, 10]}                                  : f32[4]
  %7 = constant {value = [8, 9]}                                         : f32[2]
  %8 = constant {value = [0]}                                            : f32[4]
  %9 = add %1, %6                                                        : f32[T,4]
  %10 = constant {value = [0.5]}                                         : f32[3,32]
  %11 = constant {value = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32]} : f32[32]
  %12 = constant {data = "c.493da80caa7d1af240cd0ab72df74b80"}           : f32[3,32]
  %13 = constant {value = [0.46211716532707214]}                         : f32[3,32]
  return "y" = %9,
         "two" = %7,
         "zero" = %8,
         "large" = %12,
         "fill" = %13
}

graph @g (T <= 512) {
  %1 = input {name = "x"}                                                : f32[T,8] tiles<16>
  %2 = tanh %1 {slot = [0]}                                              : f32[T,8] tiles<16>
  %3 = slice %2 {begin = 0, end = 4, slot = [1]}                         : f32[T,4] tiles<16>
  %4 = tanh %3 {slot = [2]}                                              : f32[T,4] tiles<16>
  %5 = tanh %4 {slot = [1]}                                              : f32[T,4] tiles<16>
  %6 = tanh %5 {slot = [2]}                                              : f32[T,4] tiles<16>
  %7 = tanh %6 {slot = [1]}                                              : f32[T,4] tiles<16>
  %8 = tanh %7 {slot = [2]}                                              : f32[T,4] tiles<16>
  %9 = tanh %8 {slot = [1]}                                              : f32[T,4] tiles<16>
  %10 = tanh %9 {slot = [2]}                                             : f32[T,4] tiles<16>
  %11 = tanh %10 {slot = [1]}                                            : f32[T,4] tiles<16>
  %12 = tanh %11 {slot = [2]}                                            : f32[T,4] tiles<16>
  %13 = tanh %12 {slot = [1]}                                            : f32[T,4] tiles<16>
  %14 = tanh %13 {slot = [2]}                                            : f32[T,4] tiles<16>
  %15 = tanh %14 {slot = [1]}                                            : f32[T,4] tiles<16>
  %16 = tanh %15 {slot = [2]}                                            : f32[T,4] tiles<16>
  %17 = tanh %16 {slot = [1]}                                            : f32[T,4] tiles<16>
  %18 = tanh %17 {slot = [2]}                                            : f32[T,4] tiles<16>
  %19 = tanh %18 {slot = [1]}                                            : f32[T,4] tiles<16>
  %20 = tanh %19 {slot = [2]}                                            : f32[T,4] tiles<16>
  %21 = tanh %20 {slot = [1]}                                            : f32[T,4] tiles<16>
  %22 = tanh %21 {slot = [2]}                                            : f32[T,4] tiles<16>
  %23 = tanh %22 {slot = [1]}                                            : f32[T,4] tiles<16>
  %24 = tanh %23 {slot = [2]}                                            : f32[T,4] tiles<16>
  %25 = tanh %24 {slot = [1]}                                            : f32[T,4] tiles<16>
  %26 = tanh %25 {slot = [2]}                                            : f32[T,4] tiles<16>
  %27 = tanh %26 {slot = [1]}                                            : f32[T,4] tiles<16>
  %28 = tanh %27 {slot = [2]}                                            : f32[T,4] tiles<16>
  %29 = tanh %28 {slot = [1]}                                            : f32[T,4] tiles<16>
  %30 = tanh %29 {slot = [2]}                                            : f32[T,4] tiles<16>
  %31 = tanh %30 {slot = [1]}                                            : f32[T,4] tiles<16>
  %32 = tanh %31 {slot = [2]}                                            : f32[T,4] tiles<16>
  %33 = tanh %32 {slot = [1]}                                            : f32[T,4] tiles<16>
  %34 = tanh %33 {slot = [2]}                                            : f32[T,4] tiles<16>
  %35 = tanh %34 {slot = [1]}                                            : f32[T,4] tiles<16>
  %36 = tanh %35 {slot = [2]}                                            : f32[T,4] tiles<16>
  %37 = tanh %36 {slot = [1]}                                            : f32[T,4] tiles<16>
  %38 = tanh %37 {slot = [2]}                                            : f32[T,4] tiles<16>
  %39 = tanh %38 {slot = [1]}                                            : f32[T,4] tiles<16>
  %40 = relayout %39 {slot = [0]}                                        : f32[T,4]
  return "y" = %40
}

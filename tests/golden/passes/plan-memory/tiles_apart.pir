; values in tiles of two types share a slot only where more steps than a series has are between them: %4 takes no slot of %2, the
; last one takes that of %4
graph @g (T <= 512) {
  %1 = input {name = "x"} : f32[T,8] tiles<16>
  %2 = tanh %1 : f32[T,8] tiles<16>
  %3 = slice %2 {begin = 0, end = 4} : f32[T,4] tiles<16>
  %4 = tanh %3 : f32[T,4] tiles<16>
  %5 = tanh %4 : f32[T,4] tiles<16>
  %6 = tanh %5 : f32[T,4] tiles<16>
  %7 = tanh %6 : f32[T,4] tiles<16>
  %8 = tanh %7 : f32[T,4] tiles<16>
  %9 = tanh %8 : f32[T,4] tiles<16>
  %10 = tanh %9 : f32[T,4] tiles<16>
  %11 = tanh %10 : f32[T,4] tiles<16>
  %12 = tanh %11 : f32[T,4] tiles<16>
  %13 = tanh %12 : f32[T,4] tiles<16>
  %14 = tanh %13 : f32[T,4] tiles<16>
  %15 = tanh %14 : f32[T,4] tiles<16>
  %16 = tanh %15 : f32[T,4] tiles<16>
  %17 = tanh %16 : f32[T,4] tiles<16>
  %18 = tanh %17 : f32[T,4] tiles<16>
  %19 = tanh %18 : f32[T,4] tiles<16>
  %20 = tanh %19 : f32[T,4] tiles<16>
  %21 = tanh %20 : f32[T,4] tiles<16>
  %22 = tanh %21 : f32[T,4] tiles<16>
  %23 = tanh %22 : f32[T,4] tiles<16>
  %24 = tanh %23 : f32[T,4] tiles<16>
  %25 = tanh %24 : f32[T,4] tiles<16>
  %26 = tanh %25 : f32[T,4] tiles<16>
  %27 = tanh %26 : f32[T,4] tiles<16>
  %28 = tanh %27 : f32[T,4] tiles<16>
  %29 = tanh %28 : f32[T,4] tiles<16>
  %30 = tanh %29 : f32[T,4] tiles<16>
  %31 = tanh %30 : f32[T,4] tiles<16>
  %32 = tanh %31 : f32[T,4] tiles<16>
  %33 = tanh %32 : f32[T,4] tiles<16>
  %34 = tanh %33 : f32[T,4] tiles<16>
  %35 = tanh %34 : f32[T,4] tiles<16>
  %36 = tanh %35 : f32[T,4] tiles<16>
  %37 = tanh %36 : f32[T,4] tiles<16>
  %38 = tanh %37 : f32[T,4] tiles<16>
  %39 = tanh %38 : f32[T,4] tiles<16>
  %40 = relayout %39 : f32[T,4]
  return "y" = %40
}

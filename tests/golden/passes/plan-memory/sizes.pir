; By falling size: %11, %12 and %14 have 4096 bytes, %8 1024, %9 256, %13 192, %10 and %15 64. %14 follows %11 in its slot, which was
; read later than the other one that is free; %8 lives while %11 is made, so it takes that of %12. Sizes are those at the bounds; of
; non-zeros, all entries.
graph @sizes (N <= 16, T <= 64) {
  %1 = input {name = "x"} : f32[T,4]
  %2 = state {name = "weight"} : f32[16,4]
  %3 = state {name = "bias"} : f32[16]
  %4 = input {name = "u"} : f32[N,3]
  %5 = input {name = "v"} : f32[5,N,4]
  %6 = pattern {name = "p"} : pattern[4,4]
  %7 = state {name = "p"} : f32[nnz(%6)]
  %8 = tanh %1 : f32[T,4]
  %9 = tanh %2 : f32[16,4]
  %10 = tanh %3 : f32[16]
  %11 = linear %8, %9, %10 : f32[T,16]
  %12 = tanh %11 : f32[T,16]
  %13 = tanh %4 : f32[N,3]
  %14 = tanh %5 : f32[5,N,4]
  %15 = tanh %7 : f32[nnz(%6)]
  return "a" = %12, "b" = %13, "c" = %14, "d" = %15
}

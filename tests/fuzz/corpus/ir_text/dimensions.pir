graph @dimensions (S <= 512, B <= 64, T <= 32768) {
  %1 = input {name = "ids"}                                              : i32[B,S]
  %2 = input {name = "offsets"}                                          : i32[B+1]
  %3 = input {name = "rows"}                                             : f32[B*S,768]
  %4 = input {name = "odd"}                                              : f32[2*T-1,3*B*S,0,1]
  %5 = input {name = "scalar"}                                           : f32[]
  %6 = input {name = "tiles"}                                            : f32[T,768] tiles<16>
  %7 = pattern {name = "w"}                                              : pattern[3072,768]
  %8 = state {name = "w"}                                                : f32[nnz(%7)]
  %9 = state {name = "w.moments"}                                        : f32[2*nnz(%7)+1]
  %10 = state {name = "large"}                                           : i64[9223372036854775807]
  return
}

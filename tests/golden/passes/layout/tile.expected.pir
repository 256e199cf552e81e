graph @tile (B <= 8, T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = input {name = "offsets"}                                          : i32[B+1]
  %3 = input {name = "keep"}                                             : i64[T]
  %4 = relayout %1                                                       : f32[T,4] tiles<16>
  %5:2 = attention %4, %4, %4, %2, %3 {heads = 2, scale = 0.5}           : f32[T,4] tiles<16>, f32[T,2] tiles<16>
  %6 = first_rows %2                                                     : i32[B]
  %7 = gather_rows %5, %6                                                : f32[B,4] tiles<16>
  %8 = relayout %7                                                       : f32[B,4]
  %9 = relayout %5#1                                                     : f32[T,2]
  return "y" = %8,
         "lse" = %9
}

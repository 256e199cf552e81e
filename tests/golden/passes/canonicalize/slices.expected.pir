graph @slices (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,10]
  %2 = slice %1 {begin = 2, end = 9}                                     : f32[T,7]
  %3 = slice %1 {begin = 3, end = 7}                                     : f32[T,4]
  %4 = slice %1 {begin = 6, end = 7}                                     : f32[T,1]
  return "a" = %4,
         "b" = %3
}

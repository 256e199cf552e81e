; A slice of a slice is one slice; a slice of everything is none.
graph @slices (T <= 64) {
  %1 = input {name = "x"} : f32[T,10]
  %2 = slice %1 {begin = 0, end = 10} : f32[T,10]
  %3 = slice %2 {begin = 2, end = 9} : f32[T,7]
  %4 = slice %3 {begin = 1, end = 5} : f32[T,4]
  %5 = slice %4 {begin = 3, end = 4} : f32[T,1]
  %6 = slice %4 {begin = 0, end = 4} : f32[T,4]
  return "a" = %5, "b" = %6
}

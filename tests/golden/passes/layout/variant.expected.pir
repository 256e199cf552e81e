graph @variant (T <= 64) {
  %1 = input {name = "x"}                                                : f32[T,4]
  %2 = state {name = "w"}                                                : f32[4,4]
  %3 = relayout %1                                                       : f32[T,4] tiles<64>
  %4 = linear %3, %2 {variant = "linear tile=64 panel=4"}                : f32[T,4] tiles<64>
  %5 = linear %4, %2                                                     : f32[T,4] tiles<64>
  %6 = linear %5, %2 {variant = "linear panel=4 tile=64"}                : f32[T,4] tiles<64>
  %7 = relayout %6                                                       : f32[T,4]
  return "y" = %7
}

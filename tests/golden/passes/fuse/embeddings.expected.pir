graph @one (T <= 64) {
  %1 = input {name = "ids"}                                              : i64[T]
  %2 = state {name = "table"}                                            : f32[9,4]
  %3 = state {name = "g"}                                                : f32[4]
  %4 = embedding %2, %1 {group = 1}                                      : f32[T,4]
  %5 = relayout %4 {group = 1}                                           : f32[T,4] tiles<32>
  %6:3 = layer_norm %5, %3, %3 {eps = 0.5, group = 1}                    : f32[T,4] tiles<32>, f32[T], f32[T]
  return "y" = %6
}

graph @eight (T <= 64) {
  %1 = input {name = "ids"}                                              : i64[T]
  %2 = state {name = "table"}                                            : f32[9,4]
  %3 = state {name = "g"}                                                : f32[4]
  %4 = embedding %2, %1 {group = 1}                                      : f32[T,4]
  %5 = embedding %2, %1 {group = 1}                                      : f32[T,4]
  %6 = embedding %2, %1 {group = 1}                                      : f32[T,4]
  %7 = embedding %2, %1 {group = 1}                                      : f32[T,4]
  %8 = embedding %2, %1 {group = 1}                                      : f32[T,4]
  %9 = embedding %2, %1 {group = 1}                                      : f32[T,4]
  %10 = embedding %2, %1 {group = 1}                                     : f32[T,4]
  %11 = embedding %2, %1 {group = 1}                                     : f32[T,4]
  %12 = add %4, %5 {group = 1}                                           : f32[T,4]
  %13 = add %12, %6 {group = 1}                                          : f32[T,4]
  %14 = add %13, %7 {group = 1}                                          : f32[T,4]
  %15 = add %14, %8 {group = 1}                                          : f32[T,4]
  %16 = add %15, %9 {group = 1}                                          : f32[T,4]
  %17 = add %16, %10 {group = 1}                                         : f32[T,4]
  %18 = add %17, %11 {group = 1}                                         : f32[T,4]
  %19 = relayout %18 {group = 1}                                         : f32[T,4] tiles<32>
  %20:3 = layer_norm %19, %3, %3 {eps = 0.5, group = 1}                  : f32[T,4] tiles<32>, f32[T], f32[T]
  return "y" = %20
}

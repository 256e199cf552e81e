; What depends on inputs or state, products and norms of constants, results in tiles, and constants whose data are elsewhere.
graph @left_alone (T <= 64) {
  %1 = constant {value = [1]} : f32[2,4]
  %2 = constant {value = [2]} : f32[4]
  %3 = linear %1, %1 : f32[2,2]
  %4:3 = layer_norm %1, %2, %2 {eps = 0.1} : f32[2,4], f32[2], f32[2]
  %5 = relayout %1 : f32[2,4] tiles<16>
  %6 = tanh %5 : f32[2,4] tiles<16>
  %7 = constant {data = "elsewhere"} : f32[2,4]
  %8 = add %7, %1 : f32[2,4]
  %9 = state {name = "s"} : f32[4]
  %10 = add %9, %2 : f32[4]
  return "a" = %3, "b" = %4#1, "c" = %6, "d" = %8, "e" = %10
}

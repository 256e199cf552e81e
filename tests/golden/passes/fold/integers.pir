; Integers that a double does not hold stay exact: they go to the module. Offsets and positions fold as well.
graph @integers () {
  %1 = constant {value = [0]} : i64[2,3]
  %2 = padded_offsets %1 : i32[3]
  %3 = first_rows %2 : i32[2]
  %4 = constant {value = [1]} : i64[6]
  %5 = row_positions %2, %4 : i32[6]
  %6 = constant {value = [1.5, -2.5, 3.5, 4.5]} : f32[4]
  %7 = cast %6 : i64[4]
  %8 = gather_rows %6, %3 : f32[2]
  %9 = constant {value = [1e300]} : f64[]
  %10 = cast %9 : f32[]
  %11 = constant {value = [4611686018427387905]} : f64[2]
  %12 = cast %11 : i64[2]
  %13 = constant : i8[0]
  %14 = cast %13 : f32[0]
  return "rows" = %8, "first" = %3, "positions" = %5, "rounded" = %7, "big" = %10, "exact" = %12, "none" = %14
}

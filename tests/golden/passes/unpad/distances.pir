; Distances to a teacher over the rows that the attention mask keeps are those of kept rows.
graph @kept (B <= 8, S <= 16) {
  %1 = input {name = "attention_mask"} : i64[B,S]
  %2 = input {name = "input_ids"} : i64[B,S]
  %3 = reshape %1 : i64[B*S]
  %4 = reshape %2 : i64[B*S]
  %5 = padded_offsets %1 : i32[B+1]
  %6 = state {name = "table"} : f32[9,4]
  %7 = state {name = "teacher.table"} : f32[9,4]
  %8 = embedding %6, %4 : f32[B*S,4]
  %9 = embedding %7, %4 : f32[B*S,4]
  %10:2 = attention %8, %8, %8, %5, %3 {heads = 2, scale = 1} : f32[B*S,4], f32[B*S,2]
  %11:2 = attention %9, %9, %9, %5, %3 {heads = 2, scale = 1} : f32[B*S,4], f32[B*S,2]
  %12 = input {name = "scale"} : f32[]
  %13:2 = squared_distance %8, %9, %3, %12 : f32[], f32[B*S,4]
  %14:2 = cosine_distance %10, %11, %3, %12 : f32[], f32[B*S,4]
  %15:3 = attention_distance %8, %8, %9, %5, %10#1, %9, %11#1, %3, %12 {heads = 2, scale = 1} : f32[], f32[B*S,4], f32[B*S,4]
  %16 = add %13, %14 : f32[]
  %17 = add %16, %15 : f32[]
  return "loss" = %17
}
; The attention of padding counts: nothing changes.
graph @all (B <= 8, S <= 16) {
  %1 = input {name = "attention_mask"} : i64[B,S]
  %2 = input {name = "input_ids"} : i64[B,S]
  %3 = reshape %1 : i64[B*S]
  %4 = reshape %2 : i64[B*S]
  %5 = padded_offsets %1 : i32[B+1]
  %6 = state {name = "table"} : f32[9,4]
  %7 = state {name = "teacher.table"} : f32[9,4]
  %8 = embedding %6, %4 : f32[B*S,4]
  %9 = embedding %7, %4 : f32[B*S,4]
  %10:2 = attention %8, %8, %8, %5, %3 {heads = 2, scale = 1} : f32[B*S,4], f32[B*S,2]
  %11:2 = attention %9, %9, %9, %5, %3 {heads = 2, scale = 1} : f32[B*S,4], f32[B*S,2]
  %12 = input {name = "scale"} : f32[]
  %13:2 = squared_distance %8, %9, %3, %12 : f32[], f32[B*S,4]
  %14:2 = cosine_distance %10, %11, %3, %12 : f32[], f32[B*S,4]
  %15:3 = attention_distance %8, %8, %9, %5, %10#1, %9, %11#1, %3, %12 {heads = 2, queries = "all", scale = 1} : f32[], f32[B*S,4], f32[B*S,4]
  %16 = add %13, %14 : f32[]
  %17 = add %16, %15 : f32[]
  return "loss" = %17
}

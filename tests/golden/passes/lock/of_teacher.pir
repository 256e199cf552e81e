; pipeline: lock{of_teacher=1}
graph @step (T <= 512) {
  %1 = input {name = "x"}                                : f32[T,8]
  %2 = state {frozen = true, name = "teacher.w"}         : f32[8,8]
  %3 = linear %1, %2                                     : f32[T,8]
  return "y" = %3
}

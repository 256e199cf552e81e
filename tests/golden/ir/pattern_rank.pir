graph @g () {
  %1 = pattern {name = "w"} : pattern[4]
  return
}

graph @strings () {
  scope "encoder.\"quoted\".back\\slash.größe"
  %1 = input {name = "日本語 {%1} ; no comment"}                            : f32[1]
  return "a = b, \"c\"" = %1
}

graph @g () {
  scope "a"
  %1 = input {name = "x"} : f32[4]
  "encoder.layer.0.attention.self.query.wéight" return
}

graph @g () {
  scope "encoder
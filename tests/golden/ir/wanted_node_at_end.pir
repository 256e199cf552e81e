graph @g () {

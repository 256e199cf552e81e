graph @g () {
  
  return
}

graph @g ()
  return
}

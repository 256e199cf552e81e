graph @ () {
  return
}

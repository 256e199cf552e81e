ffn {
}

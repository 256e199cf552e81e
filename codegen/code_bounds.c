/* Sizes of code; see code_bounds.h. */
#include "codegen/code_bounds.h"

#include <llvm-c/Core.h>
#include <llvm-c/Object.h>
#include <string.h>

static size_t symbol_bytes(LLVMBinaryRef binary, const char *symbol) {
    LLVMSymbolIteratorRef at = LLVMObjectFileCopySymbolIterator(binary);
    size_t bytes = 0;
    for (; at && !LLVMObjectFileIsSymbolIteratorAtEnd(binary, at) && bytes == 0; LLVMMoveToNextSymbol(at))
        if (strcmp(LLVMGetSymbolName(at), symbol) == 0) bytes = LLVMGetSymbolSize(at);
    if (at) LLVMDisposeSymbolIterator(at);
    return bytes;
}

size_t code_bytes_of(const void *object, size_t n, const char *symbol) {
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(object, n, symbol, 0);
    char *message = NULL;
    LLVMBinaryRef binary = LLVMCreateBinary(buffer, NULL, &message);
    size_t bytes = binary ? symbol_bytes(binary, symbol) : 0;
    LLVMDisposeMessage(message);
    if (binary) LLVMDisposeBinary(binary);
    LLVMDisposeMemoryBuffer(buffer);
    return bytes;
}

void code_check_bounds(const plan_code *code, const diag_sink *sink) {
    if (code->bytes > CODE_BOUND_BYTES)
        diag_warning(sink, NULL, "kernel \"%s\" is %zu bytes of code, wanted at most %d", code->variant, code->bytes,
                     CODE_BOUND_BYTES);
    if (code->compile_seconds > CODE_BOUND_SECONDS)
        diag_warning(sink, NULL, "kernel \"%s\" took %.1f seconds to compile, wanted at most %.0f", code->variant,
                     code->compile_seconds, CODE_BOUND_SECONDS);
}

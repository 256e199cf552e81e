/* Which ICU the tokenizer runs on. */
#ifndef POFAC_FRONTEND_TEXT_UNICODE_VERSION_H
#define POFAC_FRONTEND_TEXT_UNICODE_VERSION_H

#include "ir/support/strbuf.h"

/* Appends "72.1, Unicode 15.0". */
void unicode_version(strbuf *out);

#endif

/* Versions of ICU and of its data; see unicode_version.h. */
#include "frontend/text/unicode_version.h"

#include <unicode/uchar.h>
#include <unicode/uversion.h>

void unicode_version(strbuf *out) {
    UVersionInfo version;
    char text[U_MAX_VERSION_STRING_LENGTH];
    u_getVersion(version);
    u_versionToString(version, text);
    strbuf_puts(out, text);
    u_getUnicodeVersion(version);
    u_versionToString(version, text);
    strbuf_printf(out, ", Unicode %s", text);
}

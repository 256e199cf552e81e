/*
 * Messages of the description reader: the table of xml_report.h filled in with text.
 */
#include "frontend/model/xml_report.h"

#include "ir/support/strbuf.h"

static const char *const formats[] = {
#define XML_MESSAGE(name, format) format,
    XML_MESSAGES
#undef XML_MESSAGE
};

const char *xml_message_format(xml_message message) { return formats[message]; }

pofac_status xml_report_error(xml_report *report, xml_message message, const diag_place *place, const char *a, const char *b,
                              const char *c, const char *d) {
    if (report->n_errors++ >= XML_REPORT_MAX_ERRORS) return POFAC_ERR_INPUT;
    return diag_error(report->sink, POFAC_ERR_INPUT, place, formats[message], a, b, c, d);
}

/*
 * The messages of the description reader, all in one table, so that a test can see that each of them is shown by an example.
 *
 * Every argument is text. Errors are counted, and after XML_REPORT_MAX_ERRORS of them in a document the rest is left unsaid.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_REPORT_H
#define POFAC_FRONTEND_MODEL_XML_REPORT_H

#include <stddef.h>

#include "ir/support/diag.h"

#define XML_REPORT_MAX_ERRORS 20u

/* XML_MESSAGE(NAME, FORMAT): all conversions are %s, at most 4. */
#define XML_MESSAGES                                                                                                               \
    XML_MESSAGE(TOO_LARGE, "found %s bytes, wanted at most %s in a description")                                                   \
    XML_MESSAGE(NOT_UTF8, "found the byte 0x%s, wanted text in UTF-8 without control characters")                                  \
    XML_MESSAGE(OTHER_ENCODING, "found the encoding %s, wanted UTF-8")                                                             \
    XML_MESSAGE(DOCUMENT_TYPE, "found a document type, wanted a description without one: entities are not expanded")               \
    XML_MESSAGE(TOO_MANY, "found more than %s %s, wanted fewer")                                                                   \
    XML_MESSAGE(MALFORMED, "found malformed XML, wanted a well-formed document: %s")                                               \
    XML_MESSAGE(WRONG_ROOT, "found <%s> as the document's element, wanted <%s>")                                                   \
    XML_MESSAGE(WRONG_NAMESPACE, "found <%s> in the namespace %s, wanted %s")                                                      \
    XML_MESSAGE(NO_NAMESPACE, "found <%s> in no namespace, wanted xmlns=\"%s\"")                                                   \
    XML_MESSAGE(UNKNOWN_ELEMENT, "found an unknown element <%s> in <%s>, wanted %s")                                               \
    XML_MESSAGE(NO_ELEMENTS, "found <%s> in <%s>, wanted no elements there")                                                       \
    XML_MESSAGE(WRONG_PARENT, "found <%s> in <%s>, wanted it in <%s>")                                                             \
    XML_MESSAGE(SECOND_ELEMENT, "found a second <%s> in <%s>, wanted one (the first is in line %s)")                               \
    XML_MESSAGE(TEXT, "found text in <%s>, wanted only elements and attributes")                                                   \
    XML_MESSAGE(UNKNOWN_ATTRIBUTE, "found an unknown attribute %s of <%s>, wanted %s")                                             \
    XML_MESSAGE(NO_ATTRIBUTES, "found the attribute %s of <%s>, wanted no attributes there")                                       \
    XML_MESSAGE(MISSING_ATTRIBUTE, "found no %s in <%s>, wanted %s")                                                               \
    XML_MESSAGE(VALUE, "%s: found %s, wanted %s")                                                                                  \
    XML_MESSAGE(NONE_OF, "found none of %s in <%s>, wanted one of them")                                                           \
    XML_MESSAGE(TWO_OF, "found both %s and %s in <%s>, wanted one of them")                                                        \
    XML_MESSAGE(SCHEMA, "found a document that the schema refuses, wanted a valid one: %s")                                        \
    XML_MESSAGE(HEADS, "num_attention_heads: found %s, wanted a divisor of hidden_size, which is %s")                              \
    XML_MESSAGE(LABELS, "num_labels: found %s, wanted %s, the number of <label> elements")                                         \
    XML_MESSAGE(PADDING, "pad_token_id: found %s, wanted less than vocab_size, which is %s")                                       \
    XML_MESSAGE(A_PIPELINE, "found a pipeline, wanted a model; `pofac run` runs pipelines")                                        \
    XML_MESSAGE(NO_PIPELINE, "found a model, wanted a <pipeline>")                                                                 \
    XML_MESSAGE(BESIDE_PIPELINE, "found <%s> beside <pipeline>, wanted it in a <stage>")                                           \
    XML_MESSAGE(UNKNOWN_PARAMETER, "found ${%s}, wanted %s")                                                                       \
    XML_MESSAGE(OPEN_PARAMETER, "found %s, wanted a } behind the name")                                                            \
    XML_MESSAGE(PARAMETER_NAME, "found the parameter %s, wanted a name of letters, digits, - and _ other than out")                \
    XML_MESSAGE(SECOND_PARAMETER, "found a second parameter %s, wanted one")                                                       \
    XML_MESSAGE(NO_VALUE, "found no value of the parameter %s, wanted --parameter %s=VALUE")

typedef enum xml_message {
#define XML_MESSAGE(name, format) XML_MESSAGE_##name,
    XML_MESSAGES
#undef XML_MESSAGE
        XML_N_MESSAGES
} xml_message;

const char *xml_message_format(xml_message message);

typedef struct xml_report {
    const diag_sink *sink;
    size_t n_errors;
} xml_report;

/* Says the message with its arguments, the unused ones "". Returns POFAC_ERR_INPUT, or POFAC_ERR_RUNTIME where memory is short. */
pofac_status xml_report_error(xml_report *report, xml_message message, const diag_place *place, const char *a, const char *b,
                              const char *c, const char *d);

#endif

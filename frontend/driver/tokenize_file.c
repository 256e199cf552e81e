/* Tokenizing a file; see tokenize_file.h. */
#include "frontend/driver/tokenize_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

pofac_status tokenize_file(const char *path, const tokenize_file_options *options, tokenize_lines_write write, void *user,
                           const diag_sink *sink) {
    const tokenizer_options settings = {.do_lower_case = options->do_lower_case};
    tokenizer *t;
    TRY(tokenizer_create(options->vocab, &settings, sink, &t));
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    pofac_status status;
    if (fd < 0) status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "cannot open: %s", strerror(errno));
    else status = tokenize_lines(t, fd, standard ? "standard input" : path, options->mode, sink, write, user);
    if (fd >= 0 && !standard) close(fd);
    tokenizer_destroy(t);
    return status;
}

/* The map for perf; see perf_map.h. The name in /tmp is known beforehand, so only a plain file of the same user is taken. */
#include "codegen/perf_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIELDS_BEFORE_START 19 /* of /proc/self/stat, between the name's ')' and starttime */

/* Seconds since the process began; -1 when Linux does not tell. */
static double process_age(void) {
    char line[1024] = "";
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f) return -1;
    bool read = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    const char *at = read ? strrchr(line, ')') : NULL;
    for (int i = 0; at && i <= FIELDS_BEFORE_START; i++) at = strchr(at + 1, ' ');
    struct timespec now;
    if (!at || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return -1;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - strtod(at, NULL) / (double)sysconf(_SC_CLK_TCK);
}

static bool is_older_than_process(const struct stat *file) {
    double age = process_age();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return age >= 0 && (double)(now.tv_sec - file->st_mtim.tv_sec) > age + 1; /* clocks of files are coarse */
}

static const char *fault(int fd) {
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) return strerror(errno);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) return "it is not a plain file";
    if (st.st_uid != geteuid()) return "it belongs to another user";
    if (is_older_than_process(&st) && ftruncate(fd, 0) != 0) return strerror(errno);
    return NULL;
}

int perf_map_open(const diag_sink *sink) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    const char *why = fault(fd);
    if (!why) return fd;
    const diag_place place = {.file = path};
    diag_warning(sink, &place, "the map for perf is not written: %s", why);
    if (fd >= 0) close(fd);
    return -1;
}

void perf_map_add(int fd, uintptr_t address, size_t bytes, const char *name) {
    if (fd >= 0) dprintf(fd, "%zx %zx %s\n", (size_t)address, bytes, name);
}

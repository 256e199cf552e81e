/* Mappings and atomic writes: every error's message, and that nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/file_map.h"
#include "tests/unit/fail_alloc.h"

typedef struct sandbox {
    char directory[64];
    strbuf messages;
    diag_sink sink;
} sandbox;

static int set_up(void **state) {
    sandbox *s = calloc(1, sizeof *s);
    strcpy(s->directory, "test_file_map.XXXXXX");
    if (!mkdtemp(s->directory)) return -1;
    s->sink = diag_sink_to_strbuf(&s->messages);
    *state = s;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state) {
    sandbox *s = *state;
    int rc = nftw(s->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    strbuf_free(&s->messages);
    free(s);
    return rc;
}

/* DIRECTORY/name in one of a few buffers. */
static const char *path_in(const sandbox *s, const char *name) {
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", s->directory, name);
    return path;
}

static int count_entries(const sandbox *s) {
    DIR *d = opendir(s->directory);
    assert_non_null(d);
    int n = -2; /* . and .. */
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static void check_message(sandbox *s, const char *format, ...) POFAC_PRINTF(2, 3);
static void check_message(sandbox *s, const char *format, ...) {
    char wanted[600];
    va_list args;
    va_start(args, format);
    vsnprintf(wanted, sizeof wanted, format, args);
    va_end(args);
    assert_string_equal(strbuf_str(&s->messages), wanted);
    strbuf_clear(&s->messages);
}

static void check_content(sandbox *s, const char *path, const void *wanted, size_t n) {
    file_map m;
    assert_int_equal(file_map_open(path, &s->sink, &m), POFAC_OK);
    assert_int_equal(m.size_bytes, n);
    if (n) assert_memory_equal(m.data, wanted, n);
    file_map_close(&m);
    assert_null(m.data);
    assert_int_equal(m.size_bytes, 0);
}

static void maps_what_was_written(void **state) {
    sandbox *s = *state;
    const char *path = path_in(s, "a");
    assert_int_equal(file_write_all(path, "hello", 5, &s->sink), POFAC_OK);
    check_content(s, path, "hello", 5);
    assert_int_equal(file_write_all(path, NULL, 0, &s->sink), POFAC_OK);
    file_map m;
    assert_int_equal(file_map_open(path, NULL, &m), POFAC_OK);
    assert_null(m.data); /* empty */
    assert_int_equal(m.size_bytes, 0);
    file_map_close(&m);
    assert_int_equal(count_entries(s), 1);
    assert_string_equal(strbuf_str(&s->messages), "");
}

/* Kilobytes of files that are in this program's memory. */
static long resident_file_memory(void) {
    char line[256];
    long found = -1;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, "RssFile:", 8) == 0) found = strtol(line + 8, NULL, 10);
    fclose(f);
    return found;
}

/* What is let go of leaves memory, and is there again when it is read; ranges that are not of the mapping are left alone. */
static void releases_what_was_read(void **state) {
    enum { BYTES = 1 << 25 };
    sandbox *s = *state;
    const char *path = path_in(s, "large");
    unsigned char *bytes = malloc(BYTES);
    unsigned sum = 0;
    file_map m;
    assert_non_null(bytes);
    for (size_t i = 0; i < BYTES; i++) bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    assert_int_equal(file_write_all(path, bytes, BYTES, &s->sink), POFAC_OK);
    assert_int_equal(file_map_open(path, &s->sink, &m), POFAC_OK);
    for (size_t i = 0; i < BYTES; i += 64) sum += m.data[i];
    assert_true(sum > 0);
    const long before = resident_file_memory();
    file_map_release(&m, m.data, BYTES + 1);
    file_map_release(&m, m.data + BYTES + 1, 0);
    file_map_release(&m, bytes, BYTES);
    file_map_release(&m, m.data + 7, 100);
    if (before >= 0) assert_true(resident_file_memory() > before - 1024);
    file_map_release(&m, m.data + 7, BYTES - 7);
    if (before >= 0) assert_true(resident_file_memory() < before - BYTES / 1024 + 1024);
    assert_memory_equal(m.data, bytes, BYTES);
    file_map_close(&m);
    file_map_release(&m, NULL, 0);
    free(bytes);
}

static void unreadable_files(void **state) {
    sandbox *s = *state;
    file_map m;
    const char *missing = path_in(s, "missing");
    assert_int_equal(file_map_open(missing, &s->sink, &m), POFAC_ERR_INPUT);
    check_message(s, "%s: error: cannot be opened: No such file or directory\n", missing);
    assert_null(m.data);
    file_map_close(&m);

    assert_int_equal(file_map_open(s->directory, &s->sink, &m), POFAC_ERR_INPUT);
    check_message(s, "%s: error: found a directory, wanted a file\n", s->directory);

    const char *pipe = path_in(s, "pipe"); /* nobody writes: must not block */
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(file_map_open(pipe, &s->sink, &m), POFAC_ERR_INPUT);
    check_message(s, "%s: error: found a device or pipe, wanted a regular file\n", pipe);
    assert_int_equal(file_map_open("/dev/zero", &s->sink, &m), POFAC_ERR_INPUT);
    check_message(s, "/dev/zero: error: found a device or pipe, wanted a regular file\n");

    const char *below = path_in(s, "pipe/x");
    assert_int_equal(file_map_open(below, &s->sink, &m), POFAC_ERR_INPUT);
    check_message(s, "%s: error: cannot be opened: Not a directory\n", below);
    assert_int_equal(file_map_open("", &s->sink, &m), POFAC_ERR_INPUT);
    check_message(s, ": error: cannot be opened: No such file or directory\n");

    if (geteuid() != 0) { /* root may read everything */
        const char *secret = path_in(s, "secret");
        assert_int_equal(file_write_all(secret, "x", 1, &s->sink), POFAC_OK);
        assert_int_equal(chmod(secret, 0), 0);
        assert_int_equal(file_map_open(secret, &s->sink, &m), POFAC_ERR_INPUT);
        check_message(s, "%s: error: cannot be opened: Permission denied\n", secret);
    }
}

/* No descriptor left is no fault of the file. */
static void descriptors_run_out(void **state) {
    sandbox *s = *state;
    const char *path = path_in(s, "a");
    assert_int_equal(file_write_all(path, "x", 1, &s->sink), POFAC_OK);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    file_map m;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pofac_status map_status = file_map_open(path, &s->sink, &m);
    pofac_status write_status = file_write_all(path, "y", 1, &s->sink);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(map_status, POFAC_ERR_RUNTIME);
    assert_int_equal(write_status, POFAC_ERR_RUNTIME);
    check_message(s, "%s: error: cannot be opened: Too many open files\n%s: error: cannot be written: Too many open files\n", path,
                  path);
    check_content(s, path, "x", 1);
}

static void replaces_only_at_commit(void **state) {
    sandbox *s = *state;
    const char *path = path_in(s, "a");
    assert_int_equal(file_write_all(path, "old", 3, &s->sink), POFAC_OK);
    file_writer *w, *other;
    assert_int_equal(file_writer_open(path, &s->sink, &w), POFAC_OK);
    assert_int_equal(file_writer_open(path, &s->sink, &other), POFAC_OK); /* two writers do not meet */
    assert_int_equal(file_writer_write(w, "new", 3), POFAC_OK);
    assert_int_equal(file_writer_write(other, "other", 5), POFAC_OK);
    check_content(s, path, "old", 3);
    assert_int_equal(file_writer_commit(w), POFAC_OK);
    check_content(s, path, "new", 3);
    file_writer_abandon(other);
    file_writer_abandon(NULL);
    check_content(s, path, "new", 3);
    assert_int_equal(count_entries(s), 1);
}

/* Pieces smaller than, as large as and larger than the buffer, in one file. */
static void writes_pieces_in_order(void **state) {
    sandbox *s = *state;
    static const size_t pieces[] = {1, 65535, 1, 65536, 65537, 0, 200000, 3, 65533, 10};
    const char *path = path_in(s, "a");
    file_writer *w;
    assert_int_equal(file_writer_open(path, &s->sink, &w), POFAC_OK);
    static unsigned char all[600000];
    for (size_t i = 0; i < sizeof all; i++) all[i] = (unsigned char)(i * 2654435761u >> 24);
    size_t done = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        assert_int_equal(file_writer_write(w, all + done, pieces[i]), POFAC_OK);
        done += pieces[i];
    }
    assert_true(done < sizeof all);
    assert_int_equal(file_writer_commit(w), POFAC_OK);
    check_content(s, path, all, done);
}

static void keeps_mode_and_links(void **state) {
    sandbox *s = *state;
    const char *path = path_in(s, "a"), *link = path_in(s, "link");
    const mode_t mask = umask(027);
    assert_int_equal(file_write_all(path, "1", 1, &s->sink), POFAC_OK);
    umask(mask);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640); /* the umask's for a new file */
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(symlink("a", link), 0);
    assert_int_equal(file_write_all(link, "2", 1, &s->sink), POFAC_OK); /* through the link */
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0604);
    check_content(s, path, "2", 1);
    assert_int_equal(count_entries(s), 2);
}

static void unwritable_places(void **state) {
    sandbox *s = *state;
    assert_int_equal(file_write_all(s->directory, "x", 1, &s->sink), POFAC_ERR_RUNTIME);
    check_message(s, "%s: error: cannot be written: Is a directory\n", s->directory);
    const char *nowhere = path_in(s, "no/where");
    assert_int_equal(file_write_all(nowhere, "x", 1, &s->sink), POFAC_ERR_RUNTIME);
    check_message(s, "%s: error: cannot be written: No such file or directory\n", nowhere);
    assert_int_equal(file_write_all("", "x", 1, &s->sink), POFAC_ERR_RUNTIME);
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    const char *long_name = path_in(s, name);
    strbuf_clear(&s->messages);
    assert_int_equal(file_write_all(long_name, "x", 1, &s->sink), POFAC_ERR_RUNTIME);
    check_message(s, "%s: error: cannot be written: File name too long\n", long_name);
    assert_int_equal(count_entries(s), 0);
}

static void full_disk(void **state) {
    sandbox *s = *state;
    static const char zeros[100000];
    /* A small write fails at commit, a large one at once; the message comes once, the status stays. */
    assert_int_equal(file_write_all("/dev/full", "x", 1, &s->sink), POFAC_ERR_RUNTIME);
    check_message(s, "/dev/full: error: cannot be written: No space left on device\n");
    file_writer *w;
    assert_int_equal(file_writer_open("/dev/full", &s->sink, &w), POFAC_OK);
    assert_int_equal(file_writer_write(w, zeros, sizeof zeros), POFAC_ERR_RUNTIME);
    check_message(s, "/dev/full: error: cannot be written: No space left on device\n");
    assert_int_equal(file_writer_write(w, "x", 1), POFAC_ERR_RUNTIME);
    assert_int_equal(file_writer_commit(w), POFAC_ERR_RUNTIME);
    check_message(s, "%s", "");
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* written directly, not replaced */
    assert_int_equal(file_write_all("/dev/null", zeros, sizeof zeros, &s->sink), POFAC_OK);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

/* A limit on the size of files stands for a disk that fills up while the file is written. */
static void old_file_survives_a_failing_write(void **state) {
    sandbox *s = *state;
    static const char zeros[200000];
    const char *path = path_in(s, "a");
    assert_int_equal(file_write_all(path, "old", 3, &s->sink), POFAC_OK);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    pofac_status status = file_write_all(path, zeros, sizeof zeros, &s->sink);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, POFAC_ERR_RUNTIME);
    check_message(s, "%s: error: cannot be written: File too large\n", path);
    check_content(s, path, "old", 3);
    assert_int_equal(count_entries(s), 1);
}

static void failing_allocations(void **state) {
    sandbox *s = *state;
    const char *path = path_in(s, "a");
    assert_int_equal(file_write_all(path, "old", 3, &s->sink), POFAC_OK);
    strbuf_puts(&s->messages, "room for the message, taken before"); /* the sink's own memory is not under test */
    strbuf_clear(&s->messages);
    for (size_t n = 1; n < 20; n++) {
        fail_alloc_after(n);
        pofac_status status = file_write_all(path, "new", 3, &s->sink);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        check_message(s, "%s", failed ? "error: out of memory\n" : "");
        check_content(s, path, failed ? "old" : "new", 3);
        assert_int_equal(count_entries(s), 1);
        if (!failed) return;
    }
    fail_msg("still failing after 20 allocations");
}

static void existence(void **state) {
    sandbox *s = *state;
    const char *path = path_in(s, "a"), *dangling = path_in(s, "dangling");
    assert_false(file_exists(path));
    assert_int_equal(file_write_all(path, "x", 1, &s->sink), POFAC_OK);
    assert_true(file_exists(path));
    assert_false(file_is_directory(path));
    assert_true(file_exists(s->directory));
    assert_true(file_is_directory(s->directory));
    assert_int_equal(symlink("nothing", dangling), 0);
    assert_true(file_exists(dangling));
    assert_false(file_is_directory(dangling));
    assert_false(file_is_directory(path_in(s, "missing")));
}

#define IN_SANDBOX(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(maps_what_was_written),
        IN_SANDBOX(releases_what_was_read),
        IN_SANDBOX(unreadable_files),
        IN_SANDBOX(descriptors_run_out),
        IN_SANDBOX(replaces_only_at_commit),
        IN_SANDBOX(writes_pieces_in_order),
        IN_SANDBOX(keeps_mode_and_links),
        IN_SANDBOX(unwritable_places),
        IN_SANDBOX(full_disk),
        IN_SANDBOX(old_file_survives_a_failing_write),
        IN_SANDBOX(failing_allocations),
        IN_SANDBOX(existence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

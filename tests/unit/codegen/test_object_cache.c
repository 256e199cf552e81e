/*
 * The object cache: what is stored comes back; damaged, cut and foreign files do not; directories that others control are refused
 * with a warning; processes that write at the same time leave whole files; failing allocations leak nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/object_cache.h"
#include "ir/support/file_map.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/temporary_folder.h"

typedef struct fixture {
    char dir[64], cache[96];
    strbuf messages;
    diag_sink sink;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/pofac-cache-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->cache, sizeof f->cache, "%s/a/b", f->dir);
    f->sink = diag_sink_to_strbuf(&f->messages);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    folder_remove(f->dir);
    strbuf_free(&f->messages);
    free(f);
    return 0;
}

static object_cache *open_cache(fixture *f) {
    object_cache *c = NULL;
    assert_int_equal(object_cache_open(f->cache, &f->sink, &c), POFAC_OK);
    return c;
}

static bool has(const object_cache *c, const char *key, const char *wanted, size_t n) {
    strbuf out = STRBUF_INIT;
    bool found = object_cache_get(c, key, &out);
    if (found) {
        assert_int_equal(out.size, n);
        assert_memory_equal(out.data, wanted, n);
    }
    strbuf_free(&out);
    return found;
}

/* The one .o file of the cache. */
static void object_path(const fixture *f, char path[512]) {
    DIR *d = opendir(f->cache);
    assert_non_null(d);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (strlen(entry->d_name) == 34 && strcmp(entry->d_name + 32, ".o") == 0)
            snprintf(path, 512, "%s/%s", f->cache, entry->d_name), n++;
    closedir(d);
    assert_int_equal(n, 1);
}

static const char object[] = "\177ELF and so on";

static void what_is_stored_comes_back(void **state) {
    fixture *f = *state;
    object_cache *c = open_cache(f);
    struct stat st;
    assert_non_null(c);
    assert_int_equal(stat(f->cache, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_false(has(c, "key", object, sizeof object));
    object_cache_put(c, "key", object, sizeof object);
    assert_true(has(c, "key", object, sizeof object));
    assert_false(has(c, "other key", object, sizeof object));
    object_cache_put(c, "key", "new", 3);
    assert_true(has(c, "key", "new", 3));
    object_cache_close(c);
    c = open_cache(f); /* as another process would */
    assert_true(has(c, "key", "new", 3));
    object_cache_close(c);
    assert_string_equal(strbuf_str(&f->messages), "");
}

static void damaged_files_are_not_used(void **state) {
    fixture *f = *state;
    object_cache *c = open_cache(f);
    char path[512];
    object_cache_put(c, "key", object, sizeof object);
    object_path(f, path);
    file_map m;
    assert_int_equal(file_map_open(path, NULL, &m), POFAC_OK);
    size_t size = m.size_bytes;
    char *copy = malloc(size + 1);
    memcpy(copy, m.data, size);
    file_map_close(&m);
    for (size_t i = 0; i < size; i++) { /* each byte */
        copy[i] ^= 0x20;
        assert_int_equal(file_write_all(path, copy, size, NULL), POFAC_OK);
        if (has(c, "key", object, sizeof object)) fail_msg("byte %zu of %zu is damaged, and the file is used", i, size);
        copy[i] ^= 0x20;
    }
    for (size_t n = 0; n <= size + 1; n++) { /* each length */
        copy[size] = 0;
        assert_int_equal(file_write_all(path, copy, n, NULL), POFAC_OK);
        if (has(c, "key", object, sizeof object) != (n == size))
            fail_msg("the first %zu of %zu bytes are %s", n, size, n == size ? "refused" : "used");
    }
    object_cache_put(c, "key", object, sizeof object);
    assert_true(has(c, "key", object, sizeof object));
    free(copy);
    object_cache_close(c);
}

static void want_refused(fixture *f, const char *reason) {
    char wanted[256];
    snprintf(wanted, sizeof wanted, "%s: warning: the object cache is not used: %s\n", f->cache, reason);
    assert_null(open_cache(f));
    assert_string_equal(strbuf_str(&f->messages), wanted);
    strbuf_clear(&f->messages);
}

static void directories_of_others_are_refused(void **state) {
    fixture *f = *state;
    object_cache_close(open_cache(f));
    assert_int_equal(chmod(f->cache, 0770), 0);
    want_refused(f, "others may write to it");
    assert_int_equal(chmod(f->cache, 0702), 0);
    want_refused(f, "others may write to it");
    assert_int_equal(rmdir(f->cache), 0);
    assert_int_equal(file_write_all(f->cache, "", 0, NULL), POFAC_OK);
    want_refused(f, "it is not a directory");
    assert_int_equal(unlink(f->cache), 0);
    if (geteuid() == 0) {
        assert_int_equal(mkdir(f->cache, 0700), 0);
        assert_int_equal(chown(f->cache, 12345, 12345), 0);
        want_refused(f, "it belongs to another user");
    }
    snprintf(f->cache, sizeof f->cache, "%s", "");
    assert_null(open_cache(f));
    assert_string_equal(strbuf_str(&f->messages), ": warning: the object cache is not used: its name is empty\n");
    strbuf_clear(&f->messages);
    snprintf(f->cache, sizeof f->cache, "%s", "/proc/no-such-place/cache");
    want_refused(f, "No such file or directory");
}

#define N_WRITERS 6
#define N_ROUNDS 60

/* A process that stores and reads the same keys as the others; its exit status says whether every object it got was whole. */
static void write_and_read(const char *dir, int writer) {
    object_cache *c = NULL;
    static char content[40000];
    if (object_cache_open(dir, NULL, &c) != POFAC_OK || !c) _exit(2);
    for (int round = 0; round < N_ROUNDS; round++) {
        char key[16];
        strbuf out = STRBUF_INIT;
        snprintf(key, sizeof key, "key %d", round % 3);
        memset(content, 'a' + writer, sizeof content);
        object_cache_put(c, key, content, sizeof content);
        if (!object_cache_get(c, key, &out) || out.size != sizeof content) _exit(3);
        for (size_t i = 1; i < out.size; i++)
            if (out.data[i] != out.data[0]) _exit(4);
        strbuf_free(&out);
    }
    _exit(0);
}

static void writers_at_the_same_time_leave_whole_files(void **state) {
    fixture *f = *state;
    pid_t child[N_WRITERS];
    for (int i = 0; i < N_WRITERS; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) write_and_read(f->cache, i);
    }
    for (int i = 0; i < N_WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("writer %d ended with status %#x", i, (unsigned)status);
    }
    DIR *d = opendir(f->cache);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) n += entry->d_name[0] != '.';
    closedir(d);
    assert_int_equal(n, 3); /* no temporary file is left */
}

static void failing_allocations(void **state) {
    fixture *f = *state;
    for (size_t n = 1;; n++) {
        object_cache *c = NULL;
        strbuf out = STRBUF_INIT;
        fail_alloc_after(n);
        pofac_status status = object_cache_open(f->cache, NULL, &c);
        if (status == POFAC_OK && c) {
            object_cache_put(c, "key", object, sizeof object);
            bool found = object_cache_get(c, "key", &out);
            if (found) assert_memory_equal(out.data, object, sizeof object);
        }
        object_cache_close(c);
        strbuf_free(&out);
        if (!fail_alloc_stop()) break;
        assert_true(n < 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_stored_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_files_are_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directories_of_others_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writers_at_the_same_time_leave_whole_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failing_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

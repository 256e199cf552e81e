/* The doctor's report: on machines made of files, and on this one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/doctor.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

typedef struct doctor_case {
    arena memory;
    doctor_report report;
    const char *root;
} doctor_case;

/* Writes a file of the made-up machine, and the directories on its way. */
static void put_text(const char *root, const char *path, const char *text) {
    strbuf name = STRBUF_INIT;
    for (const char *at = path + 1; (at = strchr(at, '/')); at++) {
        strbuf_clear(&name);
        strbuf_printf(&name, "%s%.*s", root, (int)(at - path), path);
        mkdir(strbuf_str(&name), 0700);
    }
    strbuf_clear(&name);
    strbuf_printf(&name, "%s%s", root, path);
    FILE *f = fopen(strbuf_str(&name), "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    strbuf_free(&name);
}

static void examine(doctor_case *c, const road_options *road, const char *root) {
    *c = (doctor_case){.memory = ARENA_INIT};
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    pofac_status status = doctor_examine(road, root, &c->memory, &sink, &c->report);
    assert_string_equal(strbuf_str(&messages), "");
    assert_int_equal(status, POFAC_OK);
    strbuf_free(&messages);
}

static const doctor_row *find(const doctor_case *c, const char *topic, const char *name) {
    for (size_t i = 0; i < c->report.n_rows; i++)
        if (strcmp(c->report.rows[i].topic, topic) == 0 && strcmp(c->report.rows[i].name, name) == 0) return &c->report.rows[i];
    return NULL;
}

static void expect(const doctor_case *c, const char *topic, const char *name, const char *found, int64_t number,
                   doctor_level level) {
    const doctor_row *row = find(c, topic, name);
    if (!row) fail_msg("no row %s, %s", topic, name);
    if (strcmp(row->found, found) != 0) fail_msg("%s, %s: found \"%s\", wanted \"%s\"", topic, name, row->found, found);
    if (row->number != number) fail_msg("%s, %s: number %lld, wanted %lld", topic, name, (long long)row->number, (long long)number);
    if (row->level != level) fail_msg("%s, %s: level %d, wanted %d: %s", topic, name, row->level, level, row->meaning);
}

static void a_machine_of_version_2(void **state) {
    const char *root = file_path(state, "v2");
    doctor_case c;
    mkdir(root, 0700);
    put_text(root, "/proc/cpuinfo", "processor\t: 0\nmodel name\t: Made Up 9000\nprocessor\t: 1\nmodel name\t: Another\n");
    put_text(root, "/proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n");
    put_text(root, "/proc/self/cgroup", "0::/user/job\n");
    put_text(root, "/sys/fs/cgroup/memory.max", "max\n");
    put_text(root, "/sys/fs/cgroup/user/memory.max", "2000000000\n");
    put_text(root, "/sys/fs/cgroup/user/job/memory.max", "4000000000\n");
    put_text(root, "/sys/fs/cgroup/user/cpu.max", "150000 100000\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,8\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/cache/index0/level", "1\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/cache/index0/type", "Data\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/cache/index0/size", "48K\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/cache/index3/level", "3\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/cache/index3/type", "Unified\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/cache/index3/size", "32M\n");
    put_text(root, "/sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list", "0-15\n");
    put_text(root, "/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    examine(&c, &(road_options){.no_cache = true}, root);
    const doctor_row *model = find(&c, "cpu", "model");
    assert_non_null(model);
    assert_string_equal(model->found, "Made Up 9000");
    expect(&c, "threads", "quota", "2", 2, DOCTOR_FINE);
    assert_non_null(strstr(find(&c, "threads", "processors")->meaning, "share a core"));
    expect(&c, "cache", "L1d", "48 KiB", 49152, DOCTOR_FINE);
    expect(&c, "cache", "L3", "32 MiB, of processors 0-15", 33554432, DOCTOR_FINE);
    expect(&c, "memory", "total", "16.38 GB", 16384000000, DOCTOR_FINE);
    expect(&c, "memory", "available", "8.19 GB", 8192000000, DOCTOR_FINE);
    expect(&c, "memory", "limit", "2.00 GB", 2000000000, DOCTOR_FINE);
    expect(&c, "memory", "huge pages", "always", -1, DOCTOR_FINE);
    expect(&c, "objects", "directory", "none", -1, DOCTOR_FINE);
    arena_free(&c.memory);
}

static void a_small_machine_of_version_1(void **state) {
    const char *root = file_path(state, "v1");
    doctor_case c;
    mkdir(root, 0700);
    put_text(root, "/proc/meminfo", "MemTotal:       1000000 kB\nMemAvailable:    500000 kB\n");
    put_text(root, "/proc/self/cgroup", "4:memory:/job\n3:cpuset:/\n1:cpu,cpuacct:/job\n0::/\n");
    put_text(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put_text(root, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "300000000\n");
    examine(&c, &(road_options){.no_cache = true}, root);
    expect(&c, "cache", "sizes", "not said by /sys/devices/system/cpu", -1, DOCTOR_FINE);
    expect(&c, "memory", "total", "1.02 GB", 1024000000, DOCTOR_FINE);
    expect(&c, "memory", "available", "512.0 MB", 512000000, DOCTOR_WARNING);
    expect(&c, "memory", "limit", "300.0 MB", 300000000, DOCTOR_WARNING);
    expect(&c, "memory", "huge pages", "none", -1, DOCTOR_FINE);
    expect(&c, "threads", "quota", "none", -1, DOCTOR_FINE);
    assert_true(c.report.n_warnings >= 2);
    arena_free(&c.memory);
}

static void a_machine_without_files(void **state) {
    doctor_case c;
    examine(&c, &(road_options){.threads = 4000, .no_cache = true}, file_path(state, "nowhere"));
    assert_string_equal(find(&c, "cpu", "model")->found, "not named by /proc/cpuinfo");
    expect(&c, "memory", "total", "not said by /proc/meminfo", -1, DOCTOR_FINE);
    assert_null(find(&c, "memory", "limit"));
    expect(&c, "threads", "used", "4000", 4000, DOCTOR_WARNING);
    arena_free(&c.memory);
}

static void object_caches(void **state) {
    const char *dir = file_path(state, "objects");
    doctor_case c;
    mkdir(dir, 0700);
    put_text(dir, "/a.o", "123");
    put_text(dir, "/b.o", "4567");
    put_text(dir, "/other", "x");
    examine(&c, &(road_options){.cache_dir = dir}, "");
    expect(&c, "objects", "directory", dir, -1, DOCTOR_FINE);
    expect(&c, "objects", "kernels", "2", 2, DOCTOR_FINE);
    expect(&c, "objects", "size", "0.0 kB", 7, DOCTOR_FINE);
    arena_free(&c.memory);
    assert_int_equal(chmod(dir, 0777), 0);
    examine(&c, &(road_options){.cache_dir = dir}, "");
    expect(&c, "objects", "directory", dir, -1, DOCTOR_WARNING);
    assert_string_equal(find(&c, "objects", "directory")->meaning, "not used: others may write to it");
    arena_free(&c.memory);
    assert_int_equal(chmod(dir, 0700), 0);
    const char *missing = file_path(state, "missing");
    examine(&c, &(road_options){.cache_dir = missing}, "");
    assert_string_equal(find(&c, "objects", "directory")->meaning, "not there yet: the first compilation makes it");
    arena_free(&c.memory);
}

/* Every library and instruction set has its row, and each row a meaning. */
static void this_machine(void **unused) {
    (void)unused;
    doctor_case c;
    static const char *const libraries[] = {"LLVM", "OpenBLAS", "libxml2", "ICU", "jansson", "pthreadpool"};
    examine(&c, &(road_options){.no_cache = true}, "");
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (!find(&c, "library", libraries[i])) fail_msg("no row for %s", libraries[i]);
    cg_target target;
    assert_int_equal(cg_target_host(NULL, &c.memory, NULL, &target), POFAC_OK);
    expect(&c, "cpu", target.isa, "used", -1, DOCTOR_FINE);
    size_t warnings = 0;
    for (size_t i = 0; i < c.report.n_rows; i++) {
        const doctor_row *row = &c.report.rows[i];
        if (!*row->found || !*row->meaning)
            fail_msg("%s, %s: found \"%s\", means \"%s\"", row->topic, row->name, row->found, row->meaning);
        warnings += row->level == DOCTOR_WARNING;
    }
    assert_int_equal(warnings, c.report.n_warnings);
    assert_true(c.report.n_rows < 64);
    arena_free(&c.memory);
}

static void forms(void **unused) {
    (void)unused;
    doctor_row rows[] = {{"memory", "total", "3.2 GB", "all \"of\" it", DOCTOR_FINE, 3200000000},
                         {"memory", "pages", "none", "small ones", DOCTOR_WARNING, -1},
                         {"library", "LLVM", "19", "compiles", DOCTOR_FINE, -1}};
    const doctor_report report = {rows, 3, 1}, healthy = {rows, 1, 0};
    strbuf text = STRBUF_INIT;
    doctor_put_text(&report, &text);
    assert_string_equal(strbuf_str(&text), "memory\n"
                                           "  total        3.2 GB\n"
                                           "                 all \"of\" it\n"
                                           "  pages        none\n"
                                           "                 warning: small ones\n"
                                           "\n"
                                           "library\n"
                                           "  LLVM         19\n"
                                           "                 compiles\n"
                                           "\n"
                                           "1 warning\n");
    strbuf_clear(&text);
    doctor_put_json(&healthy, "1.2", &text);
    assert_string_equal(strbuf_str(&text),
                        "{\"version\": \"1.2\", \"warnings\": 0, \"rows\": [{\"topic\": \"memory\", \"name\": \"total\", "
                        "\"found\": \"3.2 GB\", \"number\": 3200000000, \"level\": \"fine\", "
                        "\"meaning\": \"all \\\"of\\\" it\"}]}\n");
    strbuf_free(&text);
}

static void unsupported_instruction_sets(void **unused) {
    (void)unused;
    arena memory = ARENA_INIT;
    doctor_report report;
    assert_int_equal(doctor_examine(&(road_options){.isa = "z80", .no_cache = true}, "", &memory, NULL, &report), POFAC_ERR_USAGE);
    arena_free(&memory);
}

static void failing_allocations(void **unused) {
    (void)unused;
    for (size_t n = 1;; n += 1 + n / 16) {
        arena memory = ARENA_INIT;
        doctor_report report;
        fail_alloc_after(n);
        pofac_status status = doctor_examine(&(road_options){.no_cache = true}, "", &memory, NULL, &report);
        bool failed = fail_alloc_stop();
        arena_free(&memory);
        if (!failed) {
            assert_int_equal(status, POFAC_OK);
            break;
        }
        if (status != POFAC_ERR_RUNTIME && status != POFAC_OK) fail_msg("allocation %zu fails: status %d", n, status);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_of_version_2),
        cmocka_unit_test(a_small_machine_of_version_1),
        cmocka_unit_test(a_machine_without_files),
        cmocka_unit_test(object_caches),
        cmocka_unit_test(this_machine),
        cmocka_unit_test(forms),
        cmocka_unit_test(unsupported_instruction_sets),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}

/*
 * What Linux says about the machine -> rows of the report; see doctor.h. Sources: /proc/cpuinfo, /proc/meminfo, /proc/self/cgroup with
 * /sys/fs/cgroup (both versions), /sys/devices/system/cpu, /sys/kernel/mm.
 */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/doctor_rows.h"

#define BERT_BASE_BYTES INT64_C(900000000) /* fp32 weights, mapped, and as much of them packed as kernels want */
#define NO_LIMIT (INT64_C(1) << 60)        /* version 1 says "no limit" by a number near 2^63 */

/* ---- files of one line ---- */

/* The first line of root + path without its end; "" when there is none. */
static const char *read_line(doctor *d, const char *path) {
    char line[1024] = "";
    FILE *f = fopen(doctor_text(d, "%s%s", d->root, path), "re");
    if (!f) return "";
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    fclose(f);
    line[strcspn(line, "\n")] = 0;
    return doctor_text(d, "%s", line);
}

/* The number at the beginning of a file; -1 when there is none. */
static int64_t read_number(doctor *d, const char *path) {
    const char *text = read_line(d, path);
    char *end;
    long long n = strtoll(text, &end, 10);
    return end == text ? -1 : n;
}

/* What stands behind "KEY" and a colon in a file of such lines; "" when nothing does. */
static const char *read_key(doctor *d, const char *path, const char *key) {
    char line[1024];
    const char *found = "";
    FILE *f = fopen(doctor_text(d, "%s%s", d->root, path), "re");
    while (f && !*found && fgets(line, sizeof line, f)) {
        size_t n = strlen(key), gap = strspn(line + (strncmp(line, key, n) == 0 ? n : 0), " \t");
        if (strncmp(line, key, n) != 0 || line[n + gap] != ':') continue;
        char *value = line + n + gap + 1;
        value += strspn(value, " \t");
        value[strcspn(value, "\n")] = 0;
        found = doctor_text(d, "%s", value);
    }
    if (f) fclose(f);
    return found;
}

/* ---- processors ---- */

void doctor_add_cpu(doctor *d) {
    const char *model = read_key(d, "/proc/cpuinfo", "model name"), *name = cg_host_cpu(d->a);
    if (!name) {
        d->failed = true;
        return;
    }
    bool known = strncmp(name, "generic", strlen("generic")) != 0 && strcmp(name, "x86-64") != 0;
    doctor_add(d, "cpu", "model", known ? DOCTOR_FINE : DOCTOR_WARNING, -1, *model ? model : "not named by /proc/cpuinfo",
               known ? doctor_text(d, "LLVM calls it %s and schedules kernels for it", name)
                     : "LLVM does not know it: kernels use its features, but are scheduled for an older processor");
}

/* Processors that this process may run on; -1 when the system has more than a cpu_set_t. */
static int64_t count_allowed(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

void doctor_add_threads(doctor *d, size_t wanted) {
    int64_t allowed = count_allowed();
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    size_t quota = thread_pool_quota(doctor_text(d, "%s/proc/self/cgroup", d->root), doctor_text(d, "%s/sys/fs/cgroup", d->root)),
           threads = wanted ? wanted : thread_pool_default_threads();
    const char *limit = getenv("OMP_NUM_THREADS"),
               *siblings = read_line(d, "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
    doctor_add(d, "threads", "processors", DOCTOR_FINE, online, doctor_text(d, "%ld online", online),
               strpbrk(siblings, ",-") ? "two of them share a core: a second thread on a core adds little to dense kernels"
                                       : "each is a core of its own, as far as the machine says");
    if (allowed >= 0)
        doctor_add(d, "threads", "affinity", DOCTOR_FINE, allowed, doctor_text(d, "%lld", (long long)allowed),
                   allowed < online ? "processors that this process may run on: taskset or a container leaves the others out"
                                    : "this process may run on all processors");
    doctor_add(
        d, "threads", "quota", DOCTOR_FINE, quota > 0 ? (int64_t)quota : -1, quota > 0 ? doctor_text(d, "%zu", quota) : "none",
        quota > 0 ? "processors that the control group leaves, rounded up" : "no control group bounds the time of processors");
    bool many = online > 0 && threads > (size_t)online;
    doctor_add(d, "threads", "used", many ? DOCTOR_WARNING : DOCTOR_FINE, (int64_t)threads, doctor_text(d, "%zu", threads),
               many     ? "more than there are processors: threads wait for each other; leave --threads out"
               : wanted ? "by --threads"
               : limit  ? doctor_text(d, "the least of affinity, quota and OMP_NUM_THREADS=%s", limit)
                        : "the least of affinity and quota; --threads and OMP_NUM_THREADS make it fewer");
}

/* ---- caches ---- */

/* "48K" in bytes. */
static int64_t read_cache_size(const char *text) {
    char *end;
    long long n = strtoll(text, &end, 10);
    return *end == 'K' ? n * 1024 : *end == 'M' ? n * 1024 * 1024 : n;
}

static const char *cache_meaning(int64_t level, bool instructions) {
    if (instructions) return "kernels are a few kB of code each";
    if (level == 1) return "a tile of tokens and the panel of weights at work stand here";
    if (level == 2) return "tiles of one group of tokens stay here while the weights stream past";
    return "weights that fit are read from here, not from memory, from batch to batch";
}

void doctor_add_caches(doctor *d) {
    size_t found = 0;
    for (int i = 0; i < 16; i++) {
        const char *base = doctor_text(d, "/sys/devices/system/cpu/cpu0/cache/index%d", i);
        int64_t level = read_number(d, doctor_text(d, "%s/level", base)),
                bytes = read_cache_size(read_line(d, doctor_text(d, "%s/size", base)));
        const char *type = read_line(d, doctor_text(d, "%s/type", base)),
                   *shared = read_line(d, doctor_text(d, "%s/shared_cpu_list", base));
        if (level < 1 || bytes <= 0) continue;
        bool instructions = strcmp(type, "Instruction") == 0;
        const char *name = doctor_text(d, "L%d%s", (int)level, instructions ? "i" : strcmp(type, "Data") == 0 ? "d" : "");
        const char *size =
            doctor_text(d, bytes % (1 << 20) ? "%lld KiB" : "%lld MiB", (long long)(bytes % (1 << 20) ? bytes >> 10 : bytes >> 20));
        doctor_add(d, "cache", name, DOCTOR_FINE, bytes, *shared ? doctor_text(d, "%s, of processors %s", size, shared) : size,
                   cache_meaning(level, instructions));
        found++;
    }
    if (!found)
        doctor_add(d, "cache", "sizes", DOCTOR_FINE, -1, "not said by /sys/devices/system/cpu",
                   "block sizes of kernels do not depend on them");
}

/* ---- memory ---- */

static int64_t read_kilobytes(doctor *d, const char *key) {
    const char *text = read_key(d, "/proc/meminfo", key);
    return *text ? strtoll(text, NULL, 10) * 1024 : -1;
}

/* The least limit of the group `path` and of those that it is in; NO_LIMIT when there is none. */
static int64_t group_limit(doctor *d, const char *mount, const char *path, const char *file) {
    int64_t least = NO_LIMIT;
    char *group = arena_strdup(d->a, path);
    while (group) {
        int64_t limit = read_number(d, doctor_text(d, "%s%s/%s", mount, group, file));
        if (limit > 0 && limit < least) least = limit;
        char *last = strrchr(group, '/');
        if (!last) break;
        *last = 0;
    }
    return least;
}

static int64_t memory_limit(doctor *d) {
    char line[PATH_MAX + 256];
    int64_t least = NO_LIMIT;
    FILE *f = fopen(doctor_text(d, "%s/proc/self/cgroup", d->root), "re");
    while (f && fgets(line, sizeof line, f)) { /* NUMBER:CONTROLLERS:PATH; version 2 has no controllers */
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        int64_t limit = NO_LIMIT;
        if (controllers[1] == 0) limit = group_limit(d, "/sys/fs/cgroup", path, "memory.max");
        else if (strcmp(controllers + 1, "memory") == 0)
            limit = group_limit(d, "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
        if (limit < least) least = limit;
    }
    if (f) fclose(f);
    return least;
}

static void add_bytes(doctor *d, const char *name, int64_t bytes, const char *meaning) {
    bool low = bytes >= 0 && bytes < BERT_BASE_BYTES;
    doctor_add(d, "memory", name, low ? DOCTOR_WARNING : DOCTOR_FINE, bytes,
               bytes < 0 ? "not said by /proc/meminfo" : doctor_bytes(d, bytes),
               low ? "BERT-Base takes about 0.9 GB with its packed weights: use a smaller model, or --max_memory" : meaning);
}

/* "always [madvise] never": the word in brackets. */
static const char *chosen_word(doctor *d, const char *text) {
    const char *begin = strchr(text, '[');
    return begin ? doctor_text(d, "%.*s", (int)strcspn(begin + 1, "]"), begin + 1) : "";
}

void doctor_add_memory(doctor *d) {
    int64_t limit = memory_limit(d);
    add_bytes(d, "total", read_kilobytes(d, "MemTotal"), "all of the machine");
    add_bytes(d, "available", read_kilobytes(d, "MemAvailable"),
              "without swapping; pofac bench --memory says what a model and a batch need");
    if (limit < NO_LIMIT)
        add_bytes(d, "limit", limit, "of the control group: beyond it the process is killed; --max_memory bounds batches");
    const char *pages = chosen_word(d, read_line(d, "/sys/kernel/mm/transparent_hugepage/enabled"));
    doctor_add(d, "memory", "huge pages", DOCTOR_FINE, -1, *pages ? pages : "none",
               strcmp(pages, "always") == 0 ? "packed weights and activations get them by themselves"
                                            : "packed weights and activations stay on small pages");
}

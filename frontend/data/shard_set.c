/* All shards of a split; see shard_set.h. */
#include "frontend/data/shard_set.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/shard_manifest.h"
#include "ir/support/file_map.h"

struct shard_set {
    VEC(shard *) shards;
    VEC(uint64_t) ends; /* [shards] examples up to and with each */
    shard_info info;
};

static pofac_status refuse(const char *path, const diag_sink *sink, const char *what) {
    const diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "%s", what);
}

static shard_info common_info(const shard *s) {
    shard_info i = *shard_get_info(s);
    i.n_documents = i.first_document = i.n_examples = i.n_tokens = 0;
    i.number = 0;
    return i;
}

static pofac_status add_shard(shard_set *set, const char *path, const manifest_shard *listed, const diag_sink *sink) {
    shard *s;
    TRY(shard_open(path, sink, &s));
    if (!VEC_PUSH(&set->shards, s)) {
        shard_close(s);
        return diag_out_of_memory(sink);
    }
    const shard_info *i = shard_get_info(s), common = common_info(s);
    if (listed && (i->n_examples != listed->n_examples || i->n_tokens != listed->n_tokens || i->split != (uint32_t)listed->split ||
                   i->first_document != listed->first_document || i->n_documents != listed->n_documents))
        return refuse(path, sink, "the shard is not the one that " MANIFEST_FILE " lists");
    if (set->shards.size > 1 && memcmp(&common, &set->info, sizeof common) != 0)
        return refuse(path, sink, "the shard was made with other options than the one before it");
    set->info = common;
    const uint64_t before = shard_set_size(set);
    return VEC_PUSH(&set->ends, before + i->n_examples) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status add_listed(shard_set *set, const char *dir, shard_split split, const shard_manifest *m, const diag_sink *sink) {
    uint64_t number = 0;
    pofac_status status = POFAC_OK;
    if (!m->is_complete)
        return refuse(dir, sink, "the build of the shards is not complete; `pofac data build --resume` goes on with it");
    for (size_t i = 0; status == POFAC_OK && i < m->shards.size; i++) {
        if (m->shards.data[i].split != split) continue;
        strbuf path = STRBUF_INIT;
        shard_manifest_put_shard_path(dir, split, number++, &path);
        status = strbuf_ok(&path) ? add_shard(set, strbuf_str(&path), &m->shards.data[i], sink) : diag_out_of_memory(sink);
        strbuf_free(&path);
    }
    return status;
}

pofac_status shard_set_open(const char *path, shard_split split, const diag_sink *sink, shard_set **out) {
    *out = NULL;
    shard_manifest m = {.options = STRBUF_INIT};
    shard_set *set = calloc(1, sizeof *set);
    if (!set) return diag_out_of_memory(sink);
    pofac_status status;
    if (!file_is_directory(path)) status = add_shard(set, path, NULL, sink);
    else {
        status = shard_manifest_read(path, sink, &m);
        if (status == POFAC_OK) status = add_listed(set, path, split, &m, sink);
        shard_manifest_free(&m);
    }
    if (status == POFAC_OK) *out = set;
    else shard_set_close(set);
    return status;
}

void shard_set_close(shard_set *s) {
    if (!s) return;
    for (size_t i = 0; i < s->shards.size; i++) shard_close(s->shards.data[i]);
    VEC_FREE(&s->shards);
    VEC_FREE(&s->ends);
    free(s);
}

uint64_t shard_set_size(const shard_set *s) { return s->ends.size ? s->ends.data[s->ends.size - 1] : 0; }

size_t shard_set_shards(const shard_set *s) { return s->shards.size; }

const shard *shard_set_shard(const shard_set *s, size_t i) { return s->shards.data[i]; }

const shard_info *shard_set_info(const shard_set *s) { return &s->info; }

/* The shard of example *index, which becomes its number there. */
static const shard *find_shard(const shard_set *s, uint64_t *index) {
    size_t low = 0, high = s->ends.size - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->ends.data[middle] <= *index) low = middle + 1;
        else high = middle;
    }
    if (low) *index -= s->ends.data[low - 1];
    return s->shards.data[low];
}

pofac_status shard_set_read(const shard_set *s, uint64_t index, const diag_sink *sink, int32_t *ids, shard_example *out) {
    const shard *found = find_shard(s, &index);
    return shard_read(found, index, sink, ids, out);
}

pofac_status shard_set_measure(const shard_set *s, uint64_t index, const diag_sink *sink, shard_example *out) {
    const shard *found = find_shard(s, &index);
    return shard_measure(found, index, sink, out);
}

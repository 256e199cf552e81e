/*
 * Writes a small language and two tasks in it, all made from a seed: what examples/quickstart.sh trains on, without any download.
 *
 *   generated_language DIRECTORY [SEED]
 *
 *   DIRECTORY/corpus.txt            articles, a sentence a line and an empty line between articles, for pre-training
 *   DIRECTORY/polarity/SPLIT.tsv    sentence, label: is the verdict positive (1) or negative (0)? Laid out as SST-2 is
 *   DIRECTORY/questions/SPLIT.json  contexts, questions and answers, laid out as SQuAD is, a paragraph a line
 *
 * What there is to learn, each part on top of the one before:
 *
 *   words       Subjects, verbs, objects, places and adjectives have their places in a sentence.
 *   topics      An article has one topic, whose people, things, verbs and places stand together.
 *   facts       An article tells four facts - who did what to what, and where - and then each again in other words, or asks and answers:
 *               "the old farmer lifted the bucket in the barn ." "who lifted the bucket ? the old farmer ." What is masked in a retelling stands
 *               in the telling, and a second half that is from another article retells nothing of the first one.
 *   verdicts    What people think of a thing follows from the word that is said of it, from whether that is negated, and from which of two
 *               clauses decides: "although the soup is fresh it is not very good and nobody wants it ."
 *
 * Polarity asks for the last of these. A verdict's polarity is that of its word, turned by "not", "never" or "hardly"; half of the sentences have a
 * clause that says the contrary: before "but", or behind "although". Questions ask for facts: a context has four, of different topics, and of
 * one of them it is asked who, what or where.
 *
 * SPLIT is train, dev (500 examples, by which rates and numbers of steps were chosen) or test (1,000, for results alone). Each file has its own
 * stream of random numbers. What is held out is drawn first: dev and test have no sentence and no context twice or in common, training sets have
 * none of theirs, and the opinions of articles, which say how they are meant, are none of their sentences.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/support/hash.h"
#include "ir/support/rng.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
enum { N_WORDS = 6, N_PLACES = 3, N_TOPICS = 6, N_FACTS = 4, LINE_BYTES = 256, PATH_BYTES = 4096, NAME_BYTES = 64 };
enum { ARTICLES = 6000, TRAIN = 6000, DEV = 500, TEST = 1000 };

typedef struct topic {
    const char *people[N_WORDS], *things[N_WORDS], *verbs[N_WORDS], *places[N_PLACES];
} topic;

_Static_assert((int)N_TOPICS == (int)N_WORDS, "shuffle serves both");

static const topic topics[N_TOPICS] = {
    {{"farmer", "shepherd", "goose", "goat", "miller", "donkey"},
     {"bucket", "fence", "apple", "turnip", "wagon", "sack"},
     {"lifted", "mended", "dragged", "filled", "washed", "cleaned"},
     {"barn", "meadow", "stable"}},
    {{"sailor", "captain", "gull", "fisher", "pirate", "diver"},
     {"anchor", "net", "barrel", "lantern", "sail", "rope"},
     {"hauled", "traded", "painted", "guarded", "dropped", "fixed"},
     {"harbour", "island", "lighthouse"}},
    {{"cook", "waiter", "baker", "guest", "cat", "butcher"},
     {"soup", "loaf", "kettle", "spoon", "cake", "pan"},
     {"boiled", "tasted", "served", "burned", "ordered", "sliced"},
     {"kitchen", "cellar", "pantry"}},
    {{"hunter", "fox", "owl", "ranger", "bear", "beaver"},
     {"berry", "log", "nest", "mushroom", "trap", "acorn"},
     {"gathered", "smelled", "followed", "watched", "carried", "counted"},
     {"forest", "cave", "clearing"}},
    {{"teacher", "pupil", "poet", "clerk", "painter", "scholar"},
     {"book", "letter", "map", "pencil", "picture", "poem"},
     {"quoted", "borrowed", "framed", "studied", "opened", "folded"},
     {"school", "library", "museum"}},
    {{"smith", "tailor", "mason", "weaver", "jeweller", "potter"},
     {"hammer", "coat", "brick", "carpet", "ring", "vase"},
     {"forged", "carved", "weighed", "trimmed", "shaped", "polished"},
     {"workshop", "market", "tower"}},
};

static const char *const adjectives[] = {"red", "old", "small", "heavy", "green", "round", "broken", "new"};
static const char *const prepositions[] = {"in", "near", "behind"};
static const char *const positive[] = {"good",    "lovely", "fine",      "useful",   "charming",
                                       "perfect", "fresh",  "brilliant", "pleasant", "splendid"};
static const char *const negative[] = {"bad",      "awful", "poor", "useless", "boring",
                                       "dreadful", "stale", "ugly", "nasty",   "terrible"};
static const char *const negators[] = {"not", "never", "hardly"};
static const char *const boosters[] = {"very", "really", "quite"};

/* Numbers of one stream, one after the other. */
typedef struct dice {
    rng_key key;
    uint64_t next;
} dice;

static dice new_dice(uint64_t seed, const char *file) { return (dice){.key = rng_key_make(seed, file)}; }
static size_t roll(dice *d, size_t bound) { return (size_t)rng_below(d->key, d->next++, bound); }
static const char *pick(dice *d, const char *const *words, size_t n) { return words[roll(d, n)]; }
#define PICK(d, words) pick(d, words, COUNT(words))

/* The numbers below N_WORDS, of words or of topics, in an order of chance. */
static void shuffle(dice *d, size_t order[N_WORDS]) {
    for (size_t i = 0; i < N_WORDS; i++) {
        const size_t j = roll(d, i + 1);
        if (j != i) order[i] = order[j];
        order[j] = i;
    }
}

/* ---- facts ---- */

typedef struct fact {
    const char *person, *verb, *thing;
    char who[NAME_BYTES], what[NAME_BYTES], where[NAME_BYTES]; /* "old farmer", "bucket", "in the barn" */
} fact;

/* "heavy bucket", or more often without the adjective. */
static void put_noun(dice *d, const char *noun, char out[NAME_BYTES]) {
    const char *adjective = roll(d, 3) ? NULL : PICK(d, adjectives);
    snprintf(out, NAME_BYTES, "%s%s%s", adjective ? adjective : "", adjective ? " " : "", noun);
}

static fact make_fact(dice *d, const topic *t, size_t person, size_t verb, size_t thing) {
    fact f = {.person = t->people[person], .verb = t->verbs[verb], .thing = t->things[thing]};
    put_noun(d, f.person, f.who);
    put_noun(d, f.thing, f.what);
    const char *place = PICK(d, t->places), *preposition = PICK(d, prepositions);
    snprintf(f.where, sizeof f.where, "%s the %s", preposition, place);
    return f;
}

/* Of one topic, with different people, verbs and things. */
static void make_story(dice *d, fact facts[N_FACTS]) {
    const topic *t = &topics[roll(d, N_TOPICS)];
    size_t people[N_WORDS], verbs[N_WORDS], things[N_WORDS];
    shuffle(d, people);
    shuffle(d, verbs);
    shuffle(d, things);
    for (size_t i = 0; i < N_FACTS; i++) facts[i] = make_fact(d, t, people[i], verbs[i], things[i]);
}

/* Each of another topic. */
static void make_news(dice *d, fact facts[N_FACTS]) {
    size_t order[N_TOPICS];
    shuffle(d, order);
    for (size_t i = 0; i < N_FACTS; i++) {
        const size_t thing = roll(d, N_WORDS), verb = roll(d, N_WORDS), person = roll(d, N_WORDS);
        facts[i] = make_fact(d, &topics[order[i]], person, verb, thing);
    }
}

/* "is not very good": of that polarity, where a negation turns that of the word. */
static void put_verdict(dice *d, bool is_positive, char out[NAME_BYTES]) {
    const bool is_negated = roll(d, 2), is_boosted = roll(d, 2);
    const char *negator = is_negated ? PICK(d, negators) : "", *booster = is_boosted ? PICK(d, boosters) : "";
    const char *word = is_positive != is_negated ? PICK(d, positive) : PICK(d, negative);
    snprintf(out, NAME_BYTES, "is%s%s%s%s %s", is_negated ? " " : "", negator, is_boosted ? " " : "", booster, word);
}

/* "the soup is fresh but it is not good", whose verdict is `is_positive`; half have one clause. */
static void put_opinion(dice *d, const char *thing, bool is_positive, char out[LINE_BYTES]) {
    char verdict[NAME_BYTES], contrary[NAME_BYTES];
    put_verdict(d, is_positive, verdict);
    put_verdict(d, !is_positive, contrary);
    switch (roll(d, 4)) {
    case 0: snprintf(out, LINE_BYTES, "the %s %s but it %s", thing, contrary, verdict); break;
    case 1: snprintf(out, LINE_BYTES, "although the %s %s it %s", thing, contrary, verdict); break;
    default: snprintf(out, LINE_BYTES, "the %s %s", thing, verdict); break;
    }
}

/* ---- what is held out ---- */

typedef struct split {
    const char *name;
    int n;
    bool is_held_out;
} split;

/* In the order in which they are drawn. */
static const split splits[] = {{"dev", DEV, true}, {"test", TEST, true}, {"train", TRAIN, false}};

/* What the splits of a task that are held out have, as hashes. */
typedef struct held_out_texts {
    uint64_t hashes[DEV + TEST];
    size_t n;
} held_out_texts;

static bool is_held_out(const held_out_texts *texts, const char *text) {
    const uint64_t hash = hash_bytes(text, strlen(text));
    for (size_t i = 0; i < texts->n; i++)
        if (texts->hashes[i] == hash) return true;
    return false;
}

/* May the text go into this split? */
static bool admit(held_out_texts *texts, const split *s, const char *text) {
    if (is_held_out(texts, text)) return false;
    if (s->is_held_out) texts->hashes[texts->n++] = hash_bytes(text, strlen(text));
    return true;
}

/* ---- the corpus ---- */

static void tell(FILE *out, dice *d, const fact *f) {
    if (roll(d, 4)) fprintf(out, "the %s %s the %s %s .\n", f->who, f->verb, f->what, f->where);
    else fprintf(out, "%s the %s %s the %s .\n", f->where, f->who, f->verb, f->what);
}

static void tell_again(FILE *out, dice *d, const fact *f) {
    switch (roll(d, 6)) {
    case 0: fprintf(out, "it is the %s who %s the %s .\n", f->who, f->verb, f->what); break;
    case 1: fprintf(out, "the %s is what the %s %s .\n", f->what, f->who, f->verb); break;
    case 2: fprintf(out, "it is %s that the %s %s the %s .\n", f->where, f->who, f->verb, f->what); break;
    case 3: fprintf(out, "who %s the %s ? the %s .\n", f->verb, f->thing, f->who); break;
    case 4: fprintf(out, "what has the %s %s ? the %s .\n", f->person, f->verb, f->what); break;
    default: fprintf(out, "where has the %s %s the %s ? %s .\n", f->person, f->verb, f->thing, f->where); break;
    }
}

static void say_opinion(FILE *out, dice *d, const char *thing, const held_out_texts *held_out) {
    char opinion[LINE_BYTES];
    const bool is_positive = roll(d, 2);
    do put_opinion(d, thing, is_positive, opinion);
    while (is_held_out(held_out, opinion));
    fprintf(out, "%s and %s .\n", opinion, is_positive ? "we like it" : "nobody wants it");
}

static void write_article(FILE *out, dice *d, const held_out_texts *held_out) {
    fact facts[N_FACTS];
    make_story(d, facts);
    for (size_t i = 0; i < N_FACTS; i++) tell(out, d, &facts[i]);
    say_opinion(out, d, facts[roll(d, N_FACTS)].thing, held_out);
    const size_t first = roll(d, N_FACTS);
    for (size_t i = 0; i < N_FACTS; i++) tell_again(out, d, &facts[(first + i) % N_FACTS]);
    fputc('\n', out);
}

static void write_corpus(FILE *out, uint64_t seed, const held_out_texts *held_out) {
    dice d = new_dice(seed, "corpus");
    for (int i = 0; i < ARTICLES; i++) write_article(out, &d, held_out);
}

/* ---- tasks ---- */

static void write_polarity(FILE *out, const char *name, uint64_t seed, const split *s, held_out_texts *held_out) {
    dice d = new_dice(seed, name);
    fputs("sentence\tlabel\n", out);
    for (int n = 0; n < s->n;) {
        char opinion[LINE_BYTES];
        const topic *t = &topics[roll(&d, N_TOPICS)];
        const bool is_positive = roll(&d, 2);
        put_opinion(&d, PICK(&d, t->things), is_positive, opinion);
        if (!admit(held_out, s, opinion)) continue;
        fprintf(out, "%s .\t%d\n", opinion, is_positive);
        n++;
    }
}

typedef struct question {
    char context[N_FACTS * LINE_BYTES], text[LINE_BYTES], answer[NAME_BYTES];
    size_t answer_start; /* in characters, which are bytes here */
} question;

static void make_question(dice *d, question *q) {
    fact facts[N_FACTS];
    make_news(d, facts);
    const size_t asked = roll(d, N_FACTS), kind = roll(d, 3);
    size_t end = 0;
    for (size_t i = 0; i < N_FACTS; i++) {
        const fact *f = &facts[i];
        const size_t who = end + strlen("the "), what = who + strlen(f->who) + strlen(" ") + strlen(f->verb) + strlen(" the "),
                     where = what + strlen(f->what) + strlen(" ");
        end += (size_t)snprintf(q->context + end, sizeof q->context - end, "%sthe %s %s the %s %s .", i ? " " : "", f->who, f->verb,
                                f->what, f->where);
        if (i == asked) q->answer_start = (kind == 0 ? who : kind == 1 ? what : where) + (i ? strlen(" ") : 0);
    }
    const fact *f = &facts[asked];
    snprintf(q->answer, sizeof q->answer, "%s", kind == 0 ? f->who : kind == 1 ? f->what : f->where);
    if (kind == 0) snprintf(q->text, sizeof q->text, "who %s the %s ?", f->verb, f->thing);
    else if (kind == 1) snprintf(q->text, sizeof q->text, "what has the %s %s ?", f->person, f->verb);
    else snprintf(q->text, sizeof q->text, "where has the %s %s the %s ?", f->person, f->verb, f->thing);
}

/* A paragraph of SQuAD's with one question, on a line; no text has a character that JSON escapes. */
static void write_paragraph(FILE *out, const split *s, int number, const question *q) {
    fprintf(out, "{\"context\": \"%s\", \"qas\": [{\"id\": \"%s-%d\", \"question\": \"%s\", ", q->context, s->name, number,
            q->text);
    fprintf(out, "\"answers\": [{\"text\": \"%s\", \"answer_start\": %zu}]}]}", q->answer, q->answer_start);
}

static void write_questions(FILE *out, const char *name, uint64_t seed, const split *s, held_out_texts *held_out) {
    dice d = new_dice(seed, name);
    fputs("{\"version\": \"1.1\", \"data\": [{\"title\": \"generated\", \"paragraphs\": [", out);
    for (int n = 0; n < s->n;) {
        question q;
        make_question(&d, &q);
        if (!admit(held_out, s, q.context)) continue;
        fputs(n > 0 ? ",\n" : "\n", out);
        write_paragraph(out, s, n++, &q);
    }
    fputs("\n]}]}\n", out);
}

/* ---- files ---- */

/* DIRECTORY/NAME for writing; says why not. */
static FILE *open_file(const char *directory, const char *name, char path[PATH_BYTES]) {
    errno = ENAMETOOLONG;
    FILE *out = snprintf(path, PATH_BYTES, "%s/%s", directory, name) < PATH_BYTES ? fopen(path, "w") : NULL;
    if (!out) fprintf(stderr, "generated_language: %s/%s: %s\n", directory, name, strerror(errno));
    return out;
}

static bool close_file(FILE *out, const char *path) {
    const bool is_written = !ferror(out);
    if (fclose(out) == 0 && is_written) return true;
    fprintf(stderr, "generated_language: %s: could not be written: %s\n", path, strerror(errno));
    return false;
}

static bool make_directory(const char *directory, const char *name) {
    char path[PATH_BYTES];
    errno = ENAMETOOLONG;
    if (snprintf(path, sizeof path, "%s/%s", directory, name) < PATH_BYTES && (mkdir(path, 0777) == 0 || errno == EEXIST))
        return true;
    fprintf(stderr, "generated_language: %s/%s: %s\n", directory, name, strerror(errno));
    return false;
}

typedef void write_split(FILE *out, const char *name, uint64_t seed, const split *s, held_out_texts *held_out);

/* All splits of a task, as DIRECTORY/TASK/SPLIT.ENDING; the stream of random numbers of each is named TASK/SPLIT. */
static bool write_task(const char *directory, const char *task, const char *ending, uint64_t seed, write_split *write,
                       held_out_texts *held_out) {
    char path[PATH_BYTES], name[NAME_BYTES], file[NAME_BYTES];
    for (size_t i = 0; i < COUNT(splits); i++) {
        snprintf(name, sizeof name, "%s/%s", task, splits[i].name);
        snprintf(file, sizeof file, "%s/%s.%s", task, splits[i].name, ending);
        FILE *out = open_file(directory, file, path);
        if (!out) return false;
        write(out, name, seed, &splits[i], held_out);
        if (!close_file(out, path)) return false;
    }
    return true;
}

static bool write_files(const char *directory, uint64_t seed) {
    char path[PATH_BYTES];
    held_out_texts sentences = {.n = 0}, contexts = {.n = 0};
    if (!write_task(directory, "polarity", "tsv", seed, write_polarity, &sentences)) return false;
    if (!write_task(directory, "questions", "json", seed, write_questions, &contexts)) return false;
    FILE *out = open_file(directory, "corpus.txt", path);
    if (!out) return false;
    write_corpus(out, seed, &sentences);
    return close_file(out, path);
}

int main(int argc, char **argv) {
    char *end = NULL;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], &end, 10) : 1;
    if (argc < 2 || argc > 3 || (end && (*end || end == argv[2]))) {
        fprintf(stderr, "usage: generated_language DIRECTORY [SEED]\n");
        return 2;
    }
    if (!make_directory(argv[1], "") || !make_directory(argv[1], "polarity") || !make_directory(argv[1], "questions")) return 1;
    return write_files(argv[1], seed) ? 0 : 1;
}

/*
 * Says what a model thinks of sentences: opens it, predicts, prints the likeliest label of each.
 *
 *   classify MODEL SENTENCE...
 *
 *   cc classify.c $(pkg-config --cflags --libs pofac) -o classify
 */
#include <pofac.h>
#include <stdio.h>
#include <stdlib.h>

static void print(void *user, const pofac_message *message) {
    (void)user;
    fputs(message->rendered, stderr);
}

static pofac_status classify(pofac_predictor *predictor, char **sentences, size_t n) {
    const pofac_answer *const *answers;
    pofac_text *texts = calloc(n, sizeof *texts);
    if (!texts) return POFAC_ERR_RUNTIME;
    for (size_t i = 0; i < n; i++) texts[i].text = sentences[i];
    pofac_status status = pofac_predictor_answer(predictor, texts, n, &answers);
    for (size_t i = 0; status == POFAC_OK && i < n; i++) {
        const pofac_choice *best = &answers[i]->labels[answers[i]->best];
        printf("%s\t%.4f\t%s\n", best->name, best->score, sentences[i]);
    }
    free(texts);
    return status;
}

int main(int argc, char **argv) {
    const pofac_log log = {print, NULL};
    pofac_model_options options = POFAC_MODEL_OPTIONS_INIT;
    pofac_model *model = NULL;
    pofac_predictor *predictor = NULL;
    if (argc < 3) {
        fprintf(stderr, "wanted: %s MODEL SENTENCE...\n", argv[0]);
        return POFAC_ERR_USAGE;
    }
    options.head = "sequence-classification";
    pofac_status status = pofac_model_open(argv[1], &options, &log, &model);
    if (status == POFAC_OK) status = pofac_predictor_create(model, NULL, &log, &predictor);
    if (status == POFAC_OK) status = classify(predictor, argv + 2, (size_t)argc - 2);
    pofac_predictor_destroy(predictor);
    pofac_model_close(model);
    return status;
}

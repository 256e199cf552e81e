/*
 * Trains as a recipe says, step by step, and prints what each step tells; Ctrl-C ends it with a checkpoint, from which the next call goes on.
 *
 *   train_steps RECIPE DIRECTORY [NAME=VALUE]...      options of `pofac train` over the recipe's
 *
 *   cc train_steps.c $(pkg-config --cflags --libs pofac) -o train_steps
 */
#include <pofac.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPTIONS = 64 };

static pofac_trainer *trainer; /* for the signal handler, which may only ask it to stop */

static void stop(int number) {
    (void)number;
    pofac_trainer_stop(trainer);
}

static void print(void *user, const pofac_message *message) {
    (void)user;
    fputs(message->rendered, stderr);
}

static pofac_status train(void) {
    while (!pofac_trainer_is_done(trainer)) {
        pofac_step step = POFAC_STEP_INIT;
        const pofac_status status = pofac_trainer_step(trainer, &step);
        if (status != POFAC_OK && status != POFAC_ERR_INTERRUPTED) return status;
        if (step.step != 0)
            printf("step %lld of %lld: loss %.6f, rate %.3g, norm %.6f, sparsity %.4f\n", (long long)step.step,
                   (long long)pofac_trainer_max_steps(trainer), step.loss, step.learning_rate, step.grad_norm, step.sparsity);
        if (status != POFAC_OK) return status;
    }
    return pofac_trainer_finish(trainer); /* writes the model and its results */
}

static pofac_status print_scores(void) {
    const pofac_metric *metrics;
    size_t n;
    const pofac_status status = pofac_trainer_evaluate(trainer, &metrics, &n);
    if (status == POFAC_ERR_USAGE) return POFAC_OK; /* the recipe has no data to evaluate on */
    for (size_t i = 0; status == POFAC_OK && i < n; i++) printf("%s %.6f\n", metrics[i].name, metrics[i].value);
    return status;
}

int main(int argc, char **argv) {
    pofac_option options[MOST_OPTIONS] = {{"output_dir", argc > 2 ? argv[2] : NULL}, {"resume_from_checkpoint", "last"}};
    pofac_trainer_options all = POFAC_TRAINER_OPTIONS_INIT;
    const pofac_log log = {print, NULL};
    size_t n = 2;
    if (argc < 3 || argc - 3 > MOST_OPTIONS - 2) {
        fprintf(stderr, "wanted: %s RECIPE DIRECTORY [NAME=VALUE]...\n", argv[0]);
        return POFAC_ERR_USAGE;
    }
    for (int i = 3; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals) {
            fprintf(stderr, "found %s, wanted NAME=VALUE\n", argv[i]);
            return POFAC_ERR_USAGE;
        }
        *equals = 0;
        options[n++] = (pofac_option){argv[i], equals + 1};
    }
    all.options = options;
    all.n_options = n;
    pofac_status status = pofac_trainer_create(argv[1], &all, &log, &trainer);
    if (status == POFAC_OK) signal(SIGINT, stop);
    if (status == POFAC_OK) status = print_scores();
    if (status == POFAC_OK) status = train();
    signal(SIGINT, SIG_DFL);
    pofac_trainer_destroy(trainer);
    return status;
}

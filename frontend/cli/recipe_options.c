/* Options given -> what the recipe takes; see recipe_options.h. */
#include "frontend/cli/recipe_options.h"

static const char *const names[] = {
#undef RECIPE_ROW_STRING
#undef RECIPE_ROW_PATH
#undef RECIPE_ROW_INT
#undef RECIPE_ROW_INTS
#undef RECIPE_ROW_FLOAT
#undef RECIPE_ROW_BOOL
#undef RECIPE_ROW_WORD
#define RECIPE_ROW_STRING(name, range, standard, help) #name,
#define RECIPE_ROW_PATH(name, range, standard, help) #name,
#define RECIPE_ROW_INT(name, range, standard, help) #name,
#define RECIPE_ROW_INTS(name, range, standard, help) #name,
#define RECIPE_ROW_FLOAT(name, range, standard, help) #name,
#define RECIPE_ROW_BOOL(name, range, standard, help) #name,
#define RECIPE_ROW_WORD(name, range, standard, help) #name,
#undef RECIPE_PRUNING_PATH
#undef RECIPE_PRUNING_STRING
#define RECIPE_PRUNING_PATH(name, range, standard, help) "pruning_" #name,
#define RECIPE_PRUNING_STRING(name, range, standard, help) "pruning_" #name,
#include "frontend/cli/recipe_rows.def"
    "not_to_prune",  "teacher",         "teacher_logits",  "quantization_config",     "quantization_begin",
    "weight_scales", "observe_padding", "not_to_quantize", "not_to_requantize_output"};
#define N_NAMES (sizeof names / sizeof *names)

pofac_status recipe_options(const command_input *in, const recipe_option **out, size_t *n) {
    recipe_option *given = ARENA_ARRAY(in->memory, recipe_option, N_NAMES);
    *n = 0;
    if (!given) return diag_out_of_memory(in->sink);
    for (size_t i = 0; i < N_NAMES; i++)
        if (option_given(in->options, names[i])) given[(*n)++] = (recipe_option){names[i], option_text(in->options, names[i])};
    *out = given;
    return POFAC_OK;
}

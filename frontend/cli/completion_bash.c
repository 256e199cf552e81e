/*
 * Commands and their options -> completion for bash: two functions with a case for each command, and one that finds out what is to be completed. It needs
 * nothing but bash; "--name=value" is one word or, where '=' breaks words as it does by default, three.
 */
#include "frontend/cli/completion_words.h"
#include "frontend/cli/reference_pages.h"

#include <string.h>

static const char main_function[] =
    "# _pofac_offer ANSWER WORD PREFIX\n"
    "_pofac_offer() {\n"
    "    local words=${1#* } before=\n"
    "    case ${1%% *} in\n"
    "    words) mapfile -t COMPREPLY < <(compgen -P \"${3-}\" -W \"$words\" -- \"$2\") ;;\n"
    "    list)\n"
    "        [[ $2 != *,* ]] || before=${2%,*},\n"
    "        mapfile -t COMPREPLY < <(compgen -P \"${3-}$before\" -W \"$words\" -- \"${2##*,}\")\n"
    "        ;;\n"
    "    files | folders)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        [[ $1 == files ]] && words=-f || words=-d\n"
    "        mapfile -t COMPREPLY < <(compgen -P \"${3-}\" \"$words\" -- \"$2\")\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_pofac() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} option equals= prefix= "
    "answer\n"
    "    COMPREPLY=()\n"
    "    if ((COMP_CWORD == 1)); then\n"
    "        _pofac_offer \"words $(_pofac_children '') help --help --version\" \"$word\"\n"
    "        return\n"
    "    fi\n"
    "    if answer=$(_pofac_children \"$command\"); then\n"
    "        if ((COMP_CWORD == 2)); then\n"
    "            _pofac_offer \"words $answer --help\" \"$word\"\n"
    "            return\n"
    "        fi\n"
    "        command+=\" ${COMP_WORDS[2]}\"\n"
    "    fi\n"
    "    option=$last\n"
    "    if [[ $word == --*=* ]]; then\n"
    "        option=${word%%=*} equals== prefix=$option= word=${word#*=}\n"
    "    elif [[ $word == = ]]; then\n"
    "        equals== word=\n"
    "    elif [[ $last == = ]]; then\n"
    "        option=${COMP_WORDS[COMP_CWORD - 2]} equals==\n"
    "    fi\n"
    "    [[ $option != --* ]] || option=--$(tr - _ <<<\"${option#--}\")\n"
    "    if answer=$(_pofac_value \"$command\" \"$option$equals\"); then\n"
    "        _pofac_offer \"$answer\" \"$word\" \"$prefix\"\n"
    "    elif [[ $word == --* ]]; then\n"
    "        _pofac_offer \"words $(_pofac_value \"$command\" names) --help\" \"--$(tr - _ <<<\"${word#--}\")\"\n"
    "    elif [[ $word == -* ]]; then\n"
    "        _pofac_offer \"words $(_pofac_value \"$command\" names) --help\" \"$word\"\n"
    "    elif [[ ! $equals ]]; then\n"
    "        _pofac_offer \"$(_pofac_value \"$command\" arguments)\" \"$word\"\n"
    "    fi\n"
    "}\n"
    "\n"
    "complete -F _pofac pofac\n";

/* "words a b", "files": as _pofac_offer takes it. */
static void put_answer(strbuf *out, completion_kind kind, const strbuf *words) {
    static const char *const names[] = {[COMPLETE_NOTHING] = "nothing",
                                        [COMPLETE_WORDS] = "words",
                                        [COMPLETE_LIST] = "list",
                                        [COMPLETE_FILES] = "files",
                                        [COMPLETE_FOLDERS] = "folders"};
    strbuf_puts(out, names[kind]);
    if (words->size) strbuf_printf(out, " %s", strbuf_str(words));
}

static void option_answer(const option_row *row, strbuf *out) {
    strbuf words = STRBUF_INIT;
    const completion_kind kind = completion_of_option(row, &words);
    put_answer(out, kind, &words);
    out->failed |= words.failed;
    strbuf_free(&words);
}

/* Patterns of a row: "--emit | --emit= | -o"; a form has a value behind '=' alone. */
static void put_patterns(strbuf *out, const command *c, const option_row *row, bool first) {
    if (!first) strbuf_puts(out, " | ");
    if (row->kind != OPTION_FORM) strbuf_printf(out, "--%s | ", row->name);
    strbuf_printf(out, "--%s=", row->name);
    if (row == completion_short_output(c)) strbuf_puts(out, " | -o");
}

/* One line for the rows from `i` on that have the same answer, unless an earlier row has it. */
static void put_case(strbuf *out, const command *c, const strbuf *answers, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (c->rows[k].kind != OPTION_FLAG && strcmp(strbuf_str(&answers[k]), strbuf_str(&answers[i])) == 0) return;
    strbuf_puts(out, "        ");
    for (size_t k = i; k < c->n_rows; k++)
        if (c->rows[k].kind != OPTION_FLAG && strcmp(strbuf_str(&answers[k]), strbuf_str(&answers[i])) == 0)
            put_patterns(out, c, &c->rows[k], k == i);
    strbuf_printf(out, ") echo '%s' ;;\n", strbuf_str(&answers[i]));
}

enum { MOST_ROWS = 256 }; /* of a command; more would have no completion of values */

static void put_values(strbuf *out, const command *c) {
    strbuf answers[MOST_ROWS] = {STRBUF_INIT};
    const size_t n = c->n_rows < MOST_ROWS ? c->n_rows : MOST_ROWS;
    for (size_t i = 0; i < n; i++)
        if (c->rows[i].kind != OPTION_FLAG) option_answer(&c->rows[i], &answers[i]);
    for (size_t i = 0; i < n; i++)
        if (c->rows[i].kind != OPTION_FLAG) put_case(out, c, answers, i);
    for (size_t i = 0; i < n; i++) {
        out->failed |= answers[i].failed;
        strbuf_free(&answers[i]);
    }
}

static void put_command(strbuf *out, const command *c) {
    strbuf words = STRBUF_INIT;
    strbuf_printf(out, "    '%s')\n        case $2 in\n        names) echo '", c->name);
    for (size_t i = 0; i < c->n_rows; i++) strbuf_printf(out, "%s--%s", i ? " " : "", c->rows[i].name);
    strbuf_puts(out, "' ;;\n        arguments) echo '");
    const completion_kind kind = completion_of_arguments(c, &words);
    put_answer(out, kind, &words);
    strbuf_puts(out, "' ;;\n");
    put_values(out, c);
    strbuf_puts(out, "        *) return 1 ;;\n        esac\n        ;;\n");
    out->failed |= words.failed;
    strbuf_free(&words);
}

static void put_children(strbuf *out, const char *name, const command *(*row)(size_t)) {
    strbuf_printf(out, "    '%s') echo '", name);
    for (size_t i = 0; row(i); i++) strbuf_printf(out, "%s%s", i ? " " : "", command_word(row(i)));
    strbuf_puts(out, "' ;;\n");
}

void completion_bash_write(strbuf *out) {
    strbuf_puts(out, "# Completion of pofac's commands, options and their values for bash; made by `pofac reference bash`.\n\n"
                     "# _pofac_children COMMAND: the commands that it has; false: none\n_pofac_children() {\n    case $1 in\n");
    put_children(out, "", command_row);
    for (size_t i = 0; command_row(i); i++)
        if (command_row(i)->child) put_children(out, command_row(i)->name, command_row(i)->child);
    strbuf_puts(out, "    *) return 1 ;;\n    esac\n}\n\n"
                     "# _pofac_value COMMAND OPTION: what follows the option; of `names` its options, of `arguments` what else it "
                     "takes; false: nothing\n"
                     "_pofac_value() {\n    case $1 in\n");
    for (size_t i = 0; command_row(i); i++) {
        const command *c = command_row(i);
        if (!c->child) put_command(out, c);
        for (size_t k = 0; c->child && c->child(k); k++) put_command(out, c->child(k));
    }
    strbuf_puts(out, "    *) return 1 ;;\n    esac\n}\n\n");
    strbuf_puts(out, main_function);
}

/* .env files and settings: any text is read or refused with the line named, and what is printed reads the
 * same. */
#include "base/dotenv.h"
#include "base/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

static const char *const choices[] = {"a", "b", NULL};
static const struct setting rows[] = {
    {.name = "ENVIRONMENT", .type = SETTING_TEXT, .fallback = "", .doc = "Where."},
    {.name = "TEXT",
     .alias = "A",
     .type = SETTING_TEXT,
     .fallback = "x",
     .min = 1,
     .max = 9,
     .doc = "A text."},
    {.name = "INT", .type = SETTING_INT, .fallback = "7", .min = 1, .max = 9, .doc = "A number."},
    {.name = "BOOL", .type = SETTING_BOOL, .fallback = "1", .doc = "Truth."},
    {.name = "CHOICE", .type = SETTING_CHOICE, .fallback = "a", .choices = choices, .doc = "One of."},
    {.name = "RATE", .type = SETTING_RATE, .fallback = "1/s", .doc = "How often."},
    {.name = "LIST", .type = SETTING_LIST, .fallback = "a,b", .doc = "Some."},
};

static void load(struct ctx *cx, struct list pairs) {
    const struct setting *const tables[] = {rows};
    const size_t counts[] = {sizeof rows / sizeof rows[0]};
    const struct pair *list = pairs.items;
    char **environment = NEW_N(cx->mem, char *, pairs.n + 1);
    struct settings *s;
    size_t n = 0;
    if (!environment)
        return;
    for (size_t i = 0; i < pairs.n; i++) /* the secrets' files are other people's, so none is named */
        if (!str_ends(list[i].name, S("_FILE")))
            environment[n++] = str_z(
                cx->mem, str_printf(cx->mem, "%.*s=%.*s", STR_FMT(list[i].name), STR_FMT(list[i].value)));
    enum err e = settings_load(cx, tables, counts, 1, environment, S("/nonexistent"), &s);
    if ((e == OK) != (cx->fault.n == 0))
        abort();
    if (e)
        return;
    struct buf b = buf_new(cx->mem, 1 << 20);
    settings_print(tables, counts, 1, s, &b);
    struct list printed;
    struct str text;
    size_t line;
    const char *problem;
    if (b.failed || !dotenv_parse(cx->mem, buf_str(&b), &printed, &line, &problem) || line ||
        !pairs_find(printed, S("TEXT"), &text) || !str_eq(text, setting_text(s, "TEXT")))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(16 << 20);
    struct ctx cx = {.mem = mem};
    struct list pairs;
    size_t line;
    const char *problem = NULL;
    if (dotenv_parse(mem, (struct str){(const char *)data, size}, &pairs, &line, &problem)) {
        if ((line != 0) != (problem != NULL))
            abort();
        load(&cx, pairs);
    }
    arena_free(mem);
    return 0;
}

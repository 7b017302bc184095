#include "db/db.h"

#include <string.h>

#include "base/banned.h"

#define STEPS_FIRST 16

static bool grow(struct steps *s) {
    size_t cap = s->cap ? 2 * s->cap : STEPS_FIRST;
    struct step *v = NEW_N(s->cx->mem, struct step, cap);
    if (!v)
        return false;
    if (s->n)
        memcpy(v, s->v, s->n * sizeof(*v));
    s->v = v;
    s->cap = cap;
    return true;
}

static bool copy(struct steps *s, struct args *args) {
    struct arg *v = NEW_N(s->cx->mem, struct arg, args->n + 1);
    if (!v || (args->n && !args->v))
        return false;
    if (args->n)
        memcpy(v, args->v, args->n * sizeof(*v));
    args->v = v;
    return true;
}

void steps_add(struct steps *s, const struct stmt *st, struct args args, void *row) {
    if (copy(s, &args) && (s->n < s->cap || grow(s)))
        s->v[s->n++] = (struct step){.st = st, .args = args, .row = row};
    else
        s->failed = true;
}

static bool grow_rows(struct steps *s, struct step *step) {
    size_t cap = step->rows_cap ? 2 * step->rows_cap : STEPS_FIRST;
    struct args *rows = NEW_N(s->cx->mem, struct args, cap);
    if (!rows)
        return false;
    if (step->n_rows)
        memcpy(rows, step->rows, step->n_rows * sizeof(*rows));
    step->rows = rows;
    step->rows_cap = cap;
    return true;
}

size_t steps_add_row(struct steps *s, const struct stmt *st, struct args args) {
    size_t i = 0;
    while (i < s->n && !(s->v[i].st == st && s->v[i].rows))
        i++;
    bool good = copy(s, &args) && (i < s->n || s->n < s->cap || grow(s));
    if (good && i == s->n)
        s->v[s->n++] = (struct step){.st = st};
    struct step *step = &s->v[i];
    if (good && (step->n_rows < step->rows_cap || grow_rows(s, step)))
        step->rows[step->n_rows++] = args;
    else
        s->failed = true;
    return i;
}

enum err steps_run(struct steps *s) {
    if (s->failed)
        return fail(s->cx, ERR_MEMORY, "The change does not fit in memory.");
    return db_steps(s->cx, s->v, s->n);
}

enum err steps_tell(struct steps *s) {
    enum err e = s->failed ? fail(s->cx, ERR_MEMORY, "The change does not fit in memory.") : OK;
    for (size_t i = 0; !e && i < s->n; i++) {
        const struct step *step = &s->v[i];
        e = step->rows ? db_tell_rows(s->cx, step->st, step->rows, step->n_rows)
                       : db_tell(s->cx, step->st, step->args);
    }
    return e;
}

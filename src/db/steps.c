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

void steps_add(struct steps *s, const struct stmt *st, struct args args, void *row) {
    struct arg *v = NEW_N(s->cx->mem, struct arg, args.n + 1);
    if (!v || (args.n && !args.v) || (s->n == s->cap && !grow(s))) {
        s->failed = true;
        return;
    }
    if (args.n)
        memcpy(v, args.v, args.n * sizeof(*v));
    s->v[s->n++] = (struct step){.st = st, .args = {v, args.n}, .row = row};
}

enum err steps_run(struct steps *s) {
    if (s->failed)
        return fail(s->cx, ERR_MEMORY, "The change does not fit in memory.");
    return db_steps(s->cx, s->v, s->n);
}

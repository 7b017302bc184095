#include "base/err.h"

#include "base/ctx.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/banned.h"

static const struct err_info infos[] = {
#define ERR(name, code, status, retry, exit, doc) {#name, code, doc, status, exit, retry},
#include "base/err.def"
#undef ERR
};

const struct err_info *err_info(enum err e) {
    assert(e > OK && e < ERR_COUNT);
    return &infos[e - 1];
}

/* Never without a text: where memory is out, that is what it says. */
static struct str format(struct arena *mem, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *p = n < 0 ? NULL : arena_alloc(mem, (size_t)n + 1);
    if (!p)
        return S("There is no memory left to say what.");
    vsnprintf(p, (size_t)n + 1, fmt, args);
    return (struct str){p, (size_t)n};
}

enum err fail(struct ctx *cx, enum err code, const char *fmt, ...) {
    assert(code != OK);
    va_list args;
    va_start(args, fmt);
    cx->fault.code = code;
    cx->fault.message = format(cx->mem, fmt, args);
    cx->fault.n = 0;
    va_end(args);
    return code;
}

enum err fail_cause(struct ctx *cx, enum err code, const char *fmt, ...) {
    assert(code != OK);
    va_list args;
    va_start(args, fmt);
    struct str cause = format(cx->mem, fmt, args);
    va_end(args);
    struct fault *f = &cx->fault;
    if (f->code != code) {
        f->code = code;
        f->message = str_of(err_info(code)->doc);
        f->cause = (struct str){NULL, 0};
        f->n = 0;
    }
    f->cause = f->cause.p ? str_printf(cx->mem, "%.*s; %.*s", STR_FMT(cause), STR_FMT(f->cause)) : cause;
    return code;
}

static bool has_room(struct ctx *cx, struct fault *f) {
    if (f->n < f->cap)
        return true;
    if (f->cap)
        return false;
    f->problems = NEW_N(cx->mem, struct problem, PROBLEMS_MAX);
    f->cap = f->problems ? PROBLEMS_MAX : 0;
    return f->cap > 0;
}

enum err fail_field(struct ctx *cx, struct str field, const char *fmt, ...) {
    struct fault *f = &cx->fault;
    if (f->code == OK) {
        f->code = ERR_INVALID;
        f->message = S("A field is missing or wrong.");
    }
    if (!has_room(cx, f)) {
        if (f->n == PROBLEMS_MAX)
            f->message = S("More fields are missing or wrong than are listed.");
        return ERR_INVALID;
    }
    va_list args;
    va_start(args, fmt);
    f->problems[f->n++] = (struct problem){field, format(cx->mem, fmt, args)};
    va_end(args);
    return ERR_INVALID;
}

void fault_clear(struct ctx *cx) { cx->fault = (struct fault){0}; }

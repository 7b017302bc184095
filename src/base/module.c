#include "base/module.h"

#include "base/ctx.h"

#include <assert.h>

#include "base/banned.h"

void *module_state(const struct ctx *cx, const struct module *m) {
    for (size_t i = 0; i < cx->modules->n; i++)
        if (cx->modules->list[i] == m)
            return cx->modules->state[i];
    assert(!"the module is not in the table of modules");
    return NULL;
}

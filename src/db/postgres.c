#include "db/driver.h"

#include "base/banned.h"

static enum err attach(struct ctx *cx, struct str url, void **place) {
    (void)url, (void)place;
    return fail(cx, ERR_USAGE, "PostgreSQL comes in a moment.");
}

const struct driver POSTGRES_DRIVER = {.attach = attach, .lanes = LANES};

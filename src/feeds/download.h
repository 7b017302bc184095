/* `entrepot feeds download`, and what it shares with a run. */
#ifndef FEEDS_DOWNLOAD_H
#define FEEDS_DOWNLOAD_H

#include "base/ctx.h"
#include "base/module.h"

bool day_parse(struct str s, int64_t *out);                     /* "2026-11-20" as days since 1970-01-01 */
MUST_USE enum err folder_make(struct ctx *cx, struct str path); /* with those above it */

extern const struct module DOWNLOAD_MODULE;

#endif

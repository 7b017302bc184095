/* The ledger's routes: levels, moves, history. */
#ifndef CORE_STOCK_H
#define CORE_STOCK_H

#include "base/module.h"
#include "net/route.h"

/* Whether the server itself records facts under this name: a caller's move must not take the place of one. */
bool stock_source_reserved(const struct ctx *cx, struct str source);

extern const struct module STOCK_MODULE;

#endif

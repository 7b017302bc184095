/* The ledger's routes: levels, moves, history. */
#ifndef CORE_STOCK_H
#define CORE_STOCK_H

#include "base/module.h"
#include "net/route.h"

extern const struct module STOCK_MODULE;

#endif

/* `entrepot ledger rebuild`: makes levels and postings anew from the moves and the pending reservations,
 * where `ledger verify` finds that they do not agree. Safe beside running servers: each level is locked while
 * it is counted, so whoever posts there waits. Says what it changed, and writes it into the audit log. */
#ifndef CORE_REBUILD_H
#define CORE_REBUILD_H

#include "base/module.h"
#include "net/command.h"

extern const struct module REBUILD_MODULE;

#endif

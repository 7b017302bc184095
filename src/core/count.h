/* Cycle counts. A count is a sheet for one bounded place: what should be there, item by item. People enter
 * what they find, by list or scan by scan, several at once if they like; entering an item again counts it
 * anew. Each line keeps the level at the moment of its last entry, so that goods which move afterwards are no
 * difference. Approval posts every difference as an adjustment, all in one transaction, and notes on the
 * place that it was counted. A blind count does not say what is expected until it is handed in.
 *
 *   open → counted (handed in) → approved        open, counted → cancelled
 *   counted → open (to be counted again)         open → approved (who may approve need not hand in) */
#ifndef CORE_COUNT_H
#define CORE_COUNT_H

#include "base/module.h"
#include "net/route.h"

extern const struct module COUNT_MODULE;

#endif

/* What the demo company trades in: a few thousand items that are plainly made up, each a function of its
 * number. */
#ifndef CORE_DEMO_GOODS_H
#define CORE_DEMO_GOODS_H

#include "core/item.h"

#define DEMO_ITEMS 2300
#define DEMO_SKU_PREFIX "DEMO-"

struct str demo_sku(struct arena *mem, size_t i);
void demo_item(struct arena *mem, size_t i, struct item *out);
int64_t demo_since(size_t i);  /* the week in which it enters the catalogue; 0: there from the start */
int64_t demo_target(size_t i); /* how many the company likes to have: what sells well has more */

#endif

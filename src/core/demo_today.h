/* What lies on the demo company's desk today: orders to be packed, promises that end soon, everything that a
 * person must look at, and jobs in every state. */
#ifndef CORE_DEMO_TODAY_H
#define CORE_DEMO_TODAY_H

#include "core/demo_year.h"

MUST_USE enum err demo_today(struct demo_year *y);

#endif

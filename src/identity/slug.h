/* Slugs: the short names of organisations, made from their names: lower-case ASCII letters, digits, single
 * dashes. */
#ifndef IDENTITY_SLUG_H
#define IDENTITY_SLUG_H

#include "base/str.h"

#define SLUG_MAX 60

/* "Demo Company" → "demo-company"; a name without a letter or digit of ASCII gives "organisation". No value
 * when memory is out. */
struct str slug_make(struct arena *mem, struct str name);

#endif

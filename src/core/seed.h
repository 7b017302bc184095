/* `entrepot seed`: what an organisation starts with; `--demo` adds a small company to try things out on.
 * Running it again changes nothing. */
#ifndef CORE_SEED_H
#define CORE_SEED_H

#include "base/module.h"
#include "net/command.h"

struct organisation;
/* What every new organisation gets: the standard places. For identity_on_organisation. */
MUST_USE enum err seed_organisation_created(struct ctx *cx, const struct organisation *org);

extern const struct module SEED_MODULE;

#endif

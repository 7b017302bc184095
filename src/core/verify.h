/* `entrepot ledger verify`: adds all moves and all pending reservations up again and compares the sums with
 * the stored levels and postings; also that the marks on the levels (bounded, oversold) say what their
 * numbers say. */
#ifndef CORE_VERIFY_H
#define CORE_VERIFY_H

#include "base/module.h"
#include "net/command.h"

struct finding {
    struct uuid org_id;
    struct str organisation, sku, place;
    int64_t stored, moved;
    struct str problem;
};
extern const struct schema FINDING;

struct ledger_args {
    struct str organisation;
};
extern const struct schema LEDGER_ARGS;
/* The slug of the organisation that a slug or name means; no value for none. */
MUST_USE enum err ledger_organisation(struct ctx *cx, struct str name, struct str *slug);
/* The body of these, from a command's first option. */
MUST_USE enum err ledger_body(struct ctx *cx, const struct command_line *line, struct str *body);

/* What does not agree, by organisation, item and place, at most 1000 of a kind. slug: only that organisation.
 * In a read transaction, which is made patient. */
MUST_USE enum err ledger_findings(struct ctx *cx, struct str slug, struct list *findings);

extern const struct module VERIFY_MODULE;

#endif

/* Who may do what: one table, area × role → nothing, read or write. Every route names its area and need; the
 * router asks here before a handler runs, OpenAPI prints it (x-access), and the access test walks it. */
#ifndef NET_ACCESS_H
#define NET_ACCESS_H

#include "base/ctx.h"

enum area {
    AREA_NONE,         /* not an area: a row that forgets its area does not start */
    AREA_PUBLIC,       /* no credentials: log-in, health, documents, webhooks (which prove themselves) */
    AREA_SELF,         /* any user, about himself */
    AREA_ORGANISATION, /* organisation, users, tokens of others, settings, secrets */
    AREA_CATALOGUE,    /* catalogue, prices, rules, channels' actions, POs, PORFs, feeds, approvals */
    AREA_FLOOR, /* scans, moves, counts, reservations, exceptions, parts, documents, labels, conversations */
    AREA_INSIGHT,  /* insights, reallocation, reports, search, own tokens and password */
    AREA_JOBS,     /* jobs, queues, deliveries, replay */
    AREA_AUDIT,    /* the audit log: read only */
    AREA_OPERATOR, /* the administrator at the machine: only through the socket in the data folder */
    AREAS
};
enum need { NEED_READ = 1, NEED_WRITE };

bool access_allowed(enum area area, enum need need, enum role role);
bool role_parse(struct str s, enum role *out); /* owner, manager, clerk, viewer */
struct str role_name(enum role role);
extern const char *const ROLE_NAMES[]; /* NULL-terminated, for field.one_of */

#endif

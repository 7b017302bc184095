/* The statements of identity, in one table as the module wants them. Their rows are described where the
 * tables are handled: organisation.c, user.c, login.c, identity.c. */
#ifndef IDENTITY_STATEMENTS_H
#define IDENTITY_STATEMENTS_H

#include "db/db.h"

/* Rows of statements that are nobody's resource. */
extern const struct schema ACCOUNT;                  /* login.c */
extern const struct schema KNOWER, ENDED, DIRECTORY; /* known.c */

enum identity_stmt {
    ORGANISATION_INSERT,
    ORGANISATION_BY_NAME,
    ORGANISATION_BY_KEY, /* its slug or its name; the slug wins */
    ORGANISATION_GET,
    ORGANISATION_ALL,
    ORGANISATION_FIRST,
    ORGANISATION_PAGE,
    ORGANISATION_LOCK, /* changes of users take turns within an organisation */
    USER_INSERT,
    USER_GET,
    USER_PAGE_EMAIL,
    USER_PAGE_NEWEST,
    USER_UPDATE, /* not where no owner would be left */
    USER_PASSWORD,
    USER_DELETE, /* not where no owner would be left */
    USER_LOGIN,
    KNOWN_USERS,
    KNOWN_ENDED, /* tokens that would live on at $1 */
    DIRECTORY_VERSION,
    TOKEN_REVOKE,
    TOKEN_SWEEP,
    AUDIT_INSERT,
    AUDIT_INSERT_ROWS,
    IDENTITY_STMTS_N
};
extern const struct stmt IDENTITY_STMTS[IDENTITY_STMTS_N];

#endif

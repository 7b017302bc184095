/* Webhooks of Smartsheet's API 2.0: who has one asks to be called when a sheet changes. One is made switched
 * off; switching it on makes Smartsheet ask its address for an echo before that call is answered, so whoever
 * listens there must not wait for it. Each has a shared secret, which signs what it sends. */
#ifndef SERVICES_SMARTSHEET_HOOK_H
#define SERVICES_SMARTSHEET_HOOK_H

#include "services/smartsheet.h"

struct smartsheet_hook {
    int64_t id;
    struct str name, url, scope;
    struct optional_int sheet;
    bool enabled;
    struct str status, details;
    struct str secret;      /* not in every answer */
    struct json created_at; /* a time as it was written: texts of one service compare */
};

/* All that belong to the token's user. */
MUST_USE enum err smartsheet_hooks(struct ctx *cx, const struct job *job, struct str token, struct list *out);
MUST_USE enum err smartsheet_hook_get(struct ctx *cx, const struct job *job, struct str token, int64_t id,
                                      struct smartsheet_hook *out);
/* For all that happens in a sheet. It is switched off yet. */
MUST_USE enum err smartsheet_hook_create(struct ctx *cx, const struct job *job, struct str token,
                                         int64_t sheet, struct str name, struct str url,
                                         struct smartsheet_hook *out);
/* Switches it on or off; out says what came of it. */
MUST_USE enum err smartsheet_hook_enable(struct ctx *cx, const struct job *job, struct str token, int64_t id,
                                         bool on, struct smartsheet_hook *out);
MUST_USE enum err smartsheet_hook_new_secret(struct ctx *cx, const struct job *job, struct str token,
                                             int64_t id, struct str *secret);

#endif

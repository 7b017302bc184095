#include "core/smartsheet_webhook.h"

#include "base/settings.h"
#include "jobs/jobs.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

#define SECRETS_MEMORY ((size_t)1 << 20)
#define BEFORE_US (3600 * US_PER_S) /* so long the secret before is good: callbacks that are under way */
#define OLD_US (90 * 86400 * US_PER_S)

static const struct field FIELDS[] = {
    FIELD(struct sheet_webhook, sheet_id, OUT | ROW | REQUIRED, "The sheet."),
    FIELD(struct sheet_webhook, webhook_id, OUT | ROW, "Smartsheet's number of the webhook; null: none yet."),
    FIELD(struct sheet_webhook, callback_url, OUT | ROW, "Where it calls."),
    FIELD(struct sheet_webhook, status, OUT | ROW, "What Smartsheet said of it last: ENABLED, …"),
    FIELD(struct sheet_webhook, problem, OUT | ROW, "What stands in its way, and what to do."),
    FIELD(struct sheet_webhook, enabled, OUT | REQUIRED, "Whether Smartsheet calls."),
    FIELD(struct sheet_webhook, checked_at, OUT | ROW, "When Smartsheet was asked last."),
    FIELD(struct sheet_webhook, enabled_at, OUT | ROW, "When it was seen to be switched on last."),
    FIELD(struct sheet_webhook, off_since, OUT | ROW, "Since when it is known to be off."),
    FIELD(struct sheet_webhook, attempts, OUT | ROW | REQUIRED, "How often it could not be switched on."),
    FIELD(struct sheet_webhook, next_attempt_at, OUT | ROW, "When that is tried again; null: by a person."),
    FIELD(struct sheet_webhook, secret, ROW, "Its secret, sealed."),
    FIELD(struct sheet_webhook, secret_before, ROW, "The one before."),
    FIELD(struct sheet_webhook, secret_at, OUT | ROW, "When its secret was made."),
};
const struct schema SHEET_WEBHOOK = SCHEMA(struct sheet_webhook, "SmartsheetWebhook", FIELDS);

struct sealed {
    struct uuid org_id;
    int64_t sheet_id;
    struct bytes secret, secret_before;
    struct instant secret_at, off_since;
    struct str status;
};
static const struct field SEALED_FIELDS[] = {
    FIELD(struct sealed, org_id, ROW, "Whose."),
    FIELD(struct sealed, sheet_id, ROW, "Of which sheet."),
    FIELD(struct sealed, secret, ROW, "Sealed."),
    FIELD(struct sealed, secret_before, ROW, "Sealed."),
    FIELD(struct sealed, secret_at, ROW, "Since when."),
    FIELD(struct sealed, off_since, ROW, "Since when it is off."),
    FIELD(struct sealed, status, ROW, "Why."),
};
static const struct schema SEALED = SCHEMA(struct sealed, "SmartsheetWebhookSecret", SEALED_FIELDS);

enum { GET_ONE = WEBHOOK_GET, SECRETS };
const struct stmt WEBHOOK_STMTS[WEBHOOK_STMTS_N] = {
    [GET_ONE] = {"smartsheet_webhook", TENANT,
                 "SELECT " WEBHOOK_COLUMNS " FROM smartsheet_webhook WHERE org_id = $org AND sheet_id = $1",
                 NULL, &SHEET_WEBHOOK},
    [SECRETS] = {"smartsheet_webhook_secrets", SYSTEM,
                 "SELECT org_id, sheet_id, secret, secret_before, secret_at, off_since, status"
                 " FROM smartsheet_webhook ORDER BY org_id, sheet_id",
                 NULL, &SEALED},
};

/* A secret that proves callbacks here. */
struct active {
    struct uuid org;
    struct str secret, before;
    struct instant since;
    bool off; /* its webhook is, and somebody should see to it */
};
struct webhooks {
    struct vault vault;
    pthread_mutex_t lock; /* of what follows */
    struct arena *mem;
    struct active *list;
    size_t n;
};

bool webhooks_managed(const struct ctx *cx) {
    return setting_text(cx->modules->settings, "PUBLIC_URL").n > 0;
}

/* "https://stock.example:8443" → 8443; what is not said is 443. */
static int64_t port_of(struct str url) {
    struct str host, port;
    int64_t n = 443;
    struct str rest = str_sub(url, sizeof("https://") - 1, url.n);
    if (rest.n && rest.p[0] == '[') /* an address of IPv6 has colons of its own */
        (void)str_cut(rest, ']', &host, &rest);
    if (str_cut(rest, ':', &host, &port) && !str_int(port, &n))
        n = 0;
    return n;
}

enum err webhook_callback_url(struct ctx *cx, struct str *out) {
    static const int64_t PORTS[] = {443, 8000, 8008, 8080, 8443};
    struct str url = setting_text(cx->modules->settings, "PUBLIC_URL");
    bool good = false;
    while (str_ends(url, S("/")))
        url.n--;
    if (!url.n)
        return fail(cx, ERR_USAGE,
                    "PUBLIC_URL is not set: Smartsheet cannot be told where to call. Set it to the https "
                    "address of this server.");
    for (size_t i = 0; i < sizeof(PORTS) / sizeof(PORTS[0]); i++)
        good = good || port_of(url) == PORTS[i];
    if (!str_starts(url, S("https://")) || !good)
        return fail(cx, ERR_USAGE,
                    "PUBLIC_URL is %.*s, but Smartsheet calls only https on port 443, 8000, 8008, 8080 or "
                    "8443.",
                    STR_FMT(url));
    *out = str_printf(cx->mem, "%.*s/webhooks/smartsheet/scan", STR_FMT(url));
    return OK;
}

enum err webhooks_want(struct ctx *cx) {
    return jobs_enqueue(cx, &(struct job_new){.name = WEBHOOK_JOB, .unique_key = S("check")});
}

struct str webhook_about(struct ctx *cx, struct uuid org, int64_t sheet) {
    char id[36];
    return str_printf(cx->mem, "%.36s:%lld", uuid_format(org, id).p, (long long)sheet);
}

const struct vault *webhook_vault(const struct ctx *cx) {
    return &((const struct webhooks *)module_state(cx, &SMARTSHEET_WEBHOOK_MODULE))->vault;
}

enum err webhook_load(struct ctx *cx, int64_t sheet, struct sheet_webhook *out) {
    bool found;
    *out = (struct sheet_webhook){0};
    enum err e = db_get(cx, &WEBHOOK_STMTS[GET_ONE], ARGS(A(sheet)), out, &found);
    out->sheet_id = sheet;
    out->enabled = str_eq(out->status, S("ENABLED"));
    return e;
}

enum err webhook_list(struct ctx *cx, struct list *out) {
    int64_t *sheets;
    size_t n;
    enum err e = smartsheet_sheets(cx, "scan", &sheets, &n);
    if (e)
        return e;
    struct sheet_webhook *v = NEW_N(cx->mem, struct sheet_webhook, n + 1);
    struct str url;
    if (!v)
        return fail(cx, ERR_MEMORY, "The list does not fit in memory.");
    for (size_t i = 0; !e && i < n; i++) {
        e = webhook_load(cx, sheets[i], &v[i]);
        if (!e && webhook_callback_url(cx, &url)) {
            v[i].problem = cx->fault.message;
            fault_clear(cx);
        }
    }
    *out = (struct list){v, n};
    return e;
}

/* --- the secrets, as requests find them --- */

/* With the lock. */
static void keep(struct webhooks *w, struct ctx *cx, const struct list *rows) {
    const struct sealed *row = rows->items;
    arena_reset(w->mem);
    w->n = 0;
    w->list = NEW_N(w->mem, struct active, rows->n + 1);
    for (size_t i = 0; w->list && i < rows->n; i++) {
        struct str about = webhook_about(cx, row[i].org_id, row[i].sheet_id);
        w->list[w->n++] = (struct active){
            .org = row[i].org_id,
            .secret = vault_open(w->mem, &w->vault, about, row[i].secret),
            .before = vault_open(w->mem, &w->vault, about, row[i].secret_before),
            .since = row[i].secret_at,
            .off = row[i].off_since.us && !str_eq(row[i].status, S("DISABLED_BY_OWNER")),
        };
    }
}

static enum err refresh(struct ctx *cx, void *kept) {
    struct webhooks *w = kept;
    struct list rows;
    if (!webhooks_managed(cx))
        return OK;
    enum err e = db_list(cx, &WEBHOOK_STMTS[SECRETS], ARGS(), &rows);
    if (e)
        return e;
    pthread_mutex_lock(&w->lock);
    keep(w, cx, &rows);
    pthread_mutex_unlock(&w->lock);
    return OK;
}

static bool signs(struct str secret, struct str body, const unsigned char *given) {
    unsigned char made[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    if (secret.n == 0)
        return false;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret.p, secret.n);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)(body.n ? body.p : ""), body.n);
    crypto_auth_hmacsha256_final(&state, made);
    return sodium_memcmp(made, given, sizeof(made)) == 0;
}

/* A copy, so that nobody waits while another's body is hashed. */
static struct active *copy_active(struct ctx *cx, struct webhooks *w, size_t *n) {
    pthread_mutex_lock(&w->lock);
    *n = w->n;
    struct active *v = NEW_N(cx->mem, struct active, w->n + 1);
    for (size_t i = 0; v && i < w->n; i++) {
        v[i] = w->list[i];
        v[i].secret = v[i].secret.p ? str_dup(cx->mem, v[i].secret) : v[i].secret;
        v[i].before = v[i].before.p ? str_dup(cx->mem, v[i].before) : v[i].before;
    }
    pthread_mutex_unlock(&w->lock);
    return v;
}

enum err webhook_verify(struct ctx *cx, struct str signature, struct str body, struct uuid *org,
                        bool *found) {
    struct webhooks *w = module_state(cx, &SMARTSHEET_WEBHOOK_MODULE);
    struct bytes given;
    size_t n;
    *found = false;
    if (signature.n != 2 * crypto_auth_hmacsha256_BYTES || !hex_decode(cx->mem, signature, &given))
        return OK;
    const struct active *v = copy_active(cx, w, &n);
    if (!v)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    for (size_t i = 0; i < n; i++) {
        bool now = signs(v[i].secret, body, given.p), before = signs(v[i].before, body, given.p);
        if (!*found && (now || (before && cx->now.us - v[i].since.us < BEFORE_US))) {
            *org = v[i].org;
            *found = true;
        }
    }
    return OK;
}

/* Anybody may read health: no sheet is named. */
static size_t warn(struct ctx *cx, void *kept, struct warning *out, size_t max) {
    struct webhooks *w = kept;
    size_t off = 0, old = 0, n = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n; i++) {
        off += w->list[i].off;
        old += w->list[i].secret.p && cx->now.us - w->list[i].since.us > OLD_US;
    }
    pthread_mutex_unlock(&w->lock);
    if (off && n < max)
        out[n++] = (struct warning){S("smartsheet-webhook-off"),
                                    S("A webhook of Smartsheet is off: see `entrepot smartsheet list`.")};
    if (old && n < max)
        out[n++] = (struct warning){S("webhook-secret-old"),
                                    S("The secret of a webhook of Smartsheet is older than 90 days: see "
                                      "`entrepot smartsheet rotate`.")};
    return n;
}

static void stop(void *kept) {
    struct webhooks *w = kept;
    vault_end(&w->vault);
    pthread_mutex_destroy(&w->lock);
    arena_free(w->mem);
    free(w);
}

static enum err start(struct ctx *cx, void **kept) {
    struct webhooks *w = calloc(1, sizeof(*w));
    if (!w || !(w->mem = arena_new(SECRETS_MEMORY))) {
        free(w);
        return fail(cx, ERR_MEMORY, "The secrets of webhooks do not fit in memory.");
    }
    pthread_mutex_init(&w->lock, NULL);
    enum err e = vault_begin(cx, S("entrepot smartsheet webhooks"), &w->vault);
    if (e)
        stop(w);
    else
        *kept = w;
    return e;
}

static bool public_url(struct str s) {
    static const char *const HERE[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    bool here = false;
    for (size_t i = 0; i < sizeof(HERE) / sizeof(HERE[0]); i++)
        here = here || str_starts(s, str_of(HERE[i]));
    struct str rest = s, head;
    if (!str_cut(s, '/', &head, &rest) || !str_starts(rest, S("/")))
        return false;
    struct str host = str_sub(rest, 1, rest.n), tail;
    if (str_cut(host, '/', &host, &tail) && tail.n)
        return false;
    return host.n && (here || str_eq(head, S("https:")));
}

static const struct setting SETTINGS[] = {
    {.name = "PUBLIC_URL",
     .type = SETTING_TEXT,
     .fallback = "",
     .check = public_url,
     .rule = "must be https://, a host and perhaps a port (http:// only for this machine)",
     .doc = "How others reach this server, as https://stock.example.com. With it, the webhooks of Smartsheet "
            "are "
            "made and switched on by entrepot."},
};

const struct module SMARTSHEET_WEBHOOK_MODULE = {.name = "smartsheet_webhook",
                                                 .stmts = WEBHOOK_STMTS,
                                                 .n_stmts = WEBHOOK_STMTS_N,
                                                 TABLE(settings, SETTINGS),
                                                 .start = start,
                                                 .stop = stop,
                                                 .refresh = refresh,
                                                 .warn = warn};

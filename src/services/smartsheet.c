#include "services/smartsheet.h"

#include "base/settings.h"
#include "net/limit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/banned.h"

#define BLOCKED_US (60 * US_PER_S) /* what Smartsheet advises after errorCode 4003 */
#define WAIT_MAX_US (5 * US_PER_S) /* longer is left to the job's next attempt */

struct smartsheet {
    struct limiter *limit;
    _Atomic int64_t blocked_until; /* steady time */
};

static const struct field COLUMN_FIELDS[] = {
    FIELD(struct smartsheet_column, id, CREATE | REQUIRED, "Its id."),
    FIELD(struct smartsheet_column, title, CREATE, "What people call it."),
    FIELD(struct smartsheet_column, type, CREATE, "What kind of values it has."),
};
static const struct schema COLUMN = SCHEMA(struct smartsheet_column, "SmartsheetColumn", COLUMN_FIELDS);
static const struct field CELL_FIELDS[] = {
    FIELD_AS(struct smartsheet_cell, column, "columnId", CREATE | REQUIRED, "Its column."),
    FIELD(struct smartsheet_cell, value, CREATE, "What is in it."),
};
static const struct schema CELL = SCHEMA(struct smartsheet_cell, "SmartsheetCell", CELL_FIELDS);
static const struct field ROW_FIELDS[] = {
    FIELD(struct smartsheet_row, id, CREATE | REQUIRED, "Its id."),
    FIELD_AS(struct smartsheet_row, modified_at, "modifiedAt", CREATE, "When it was changed last."),
    FIELD(struct smartsheet_row, cells, CREATE, "Its cells.", .of = &CELL),
};
static const struct schema ROW_ = SCHEMA(struct smartsheet_row, "SmartsheetRow", ROW_FIELDS);
static const struct field PAGE_FIELDS[] = {
    FIELD(struct smartsheet_page, id, CREATE | REQUIRED, "The sheet."),
    FIELD(struct smartsheet_page, columns, CREATE | REQUIRED, "Its columns.", .of = &COLUMN),
    FIELD(struct smartsheet_page, rows, CREATE, "Its rows.", .of = &ROW_),
};
static const struct schema PAGE = SCHEMA(struct smartsheet_page, "SmartsheetPage", PAGE_FIELDS);

struct refusal {
    int64_t code;
    struct str message;
};
static const struct field REFUSAL_FIELDS[] = {
    FIELD_AS(struct refusal, code, "errorCode", CREATE | REQUIRED, "Smartsheet's number for it."),
    FIELD(struct refusal, message, CREATE, "Smartsheet's words for it."),
};
static const struct schema REFUSAL = SCHEMA(struct refusal, "SmartsheetRefusal", REFUSAL_FIELDS);

static enum err path_of(struct ctx *cx, const struct smartsheet_wish *w, struct str *out) {
    struct buf b = buf_new(cx->mem, 1 << 15);
    char at[32];
    buf_printf(&b, "/sheets/%lld?pageSize=%d&page=%lld", (long long)w->sheet, SMARTSHEET_PAGE,
               (long long)w->page);
    for (size_t i = 0; i < w->n_rows; i++)
        buf_printf(&b, "%s%lld", i ? "," : "&rowIds=", (long long)w->rows[i]);
    if (w->since.us) {
        buf_add(&b, S("&rowsModifiedSince="));
        http_put_encoded(&b, instant_format((struct instant){w->since.us / US_PER_S * US_PER_S}, at));
    }
    *out = buf_str(&b);
    return b.failed ? fail(cx, ERR_MEMORY, "The address of the rows is too long.") : OK;
}

/* Waits for its turn; a wait that is long is the job's. */
static enum err take_turn(struct ctx *cx, struct smartsheet *s, struct str token) {
    int64_t now = clock_steady(), wait = atomic_load(&s->blocked_until) - now;
    if (wait <= 0)
        while ((wait = limiter_take(s->limit, token, clock_steady())) > 0 && wait <= WAIT_MAX_US) {
            struct timespec t = {wait / US_PER_S, wait % US_PER_S * 1000};
            nanosleep(&t, NULL);
        }
    if (wait <= 0)
        return OK;
    int64_t seconds = wait / US_PER_S + 1;
    return fail(cx, ERR_RATE, "Smartsheet takes no more requests for %lld s.", (long long)seconds);
}

/* The numbers that Smartsheet itself calls passing: 4001 to 4004. */
static enum err refused(struct ctx *cx, struct smartsheet *s, const struct http_request *rq,
                        const struct http_answer *an) {
    struct refusal r = {0};
    if (schema_decode(cx, &REFUSAL, CREATE, IGNORE_UNKNOWN, an->body, &r, NULL))
        r = (struct refusal){0};
    fault_clear(cx);
    if (an->status == 429 || r.code == 4003) {
        int64_t wait = an->retry_after_us > BLOCKED_US ? an->retry_after_us : BLOCKED_US;
        atomic_store(&s->blocked_until, clock_steady() + wait);
        return fail(cx, ERR_RATE, "Smartsheet says that there were too many requests.");
    }
    if (r.code >= 4001 && r.code <= 4004)
        return fail(cx, ERR_UNAVAILABLE, "Smartsheet cannot do it just now: %lld %.*s", (long long)r.code,
                    STR_FMT(r.message));
    enum err e = http_outcome(cx, rq, an);
    if (e && r.code)
        return fail(cx, e, "Smartsheet refuses: %lld %.*s", (long long)r.code, STR_FMT(r.message));
    return e;
}

enum err smartsheet_ask(struct ctx *cx, const struct job *job, const struct smartsheet_question *q,
                        const struct schema *of, void *out) {
    struct smartsheet *s = module_state(cx, &SMARTSHEET_MODULE);
    struct str base = setting_text(cx->modules->settings, "SMARTSHEET_BASE_URL");
    struct header headers[] = {
        {S("Authorization"), str_printf(cx->mem, "Bearer %.*s", STR_FMT(q->token))},
        {S("Content-Type"), S("application/json")},
    };
    struct str root = str_ends(base, S("/")) ? str_sub(base, 0, base.n - 1) : base;
    struct http_request rq = {.service = "Smartsheet",
                              .method = q->method,
                              .url = str_printf(cx->mem, "%.*s%.*s", STR_FMT(root), STR_FMT(q->path)),
                              .origin = base,
                              .headers = headers,
                              .n_headers = q->body.p ? 2 : 1,
                              .body = q->body,
                              .accept = "application/json",
                              .max = 16u << 20,
                              .timeout_us = q->timeout_us,
                              .job = job};
    struct http_answer an;
    enum err e = take_turn(cx, s, q->token);
    if (e || (e = http_fetch(cx, &rq, &an)))
        return e;
    if (an.status != 200)
        return (e = refused(cx, s, &rq, &an)) ? e
                                              : fail(cx, ERR_UNAVAILABLE, "Smartsheet gave no %s.", of->name);
    e = schema_decode(cx, of, CREATE, IGNORE_UNKNOWN, an.body, out, NULL);
    if (e != ERR_MALFORMED && e != ERR_INVALID)
        return e;
    fault_clear(cx);
    return fail(cx, ERR_UNAVAILABLE, "Smartsheet's answer is not the %s that it should be.", of->name);
}

enum err smartsheet_page(struct ctx *cx, const struct job *job, const struct smartsheet_wish *wish,
                         struct smartsheet_page *out) {
    struct smartsheet_question q = {.token = wish->token};
    enum err e = path_of(cx, wish, &q.path);
    return e ? e : smartsheet_ask(cx, job, &q, &PAGE, out);
}

/* Without TLS the token would be anybody's: plain http is only for a stand-in on this machine. */
static const struct setting SETTINGS[] = {
    {.name = "SMARTSHEET_TOKEN",
     .type = SETTING_LIST,
     .fallback = "",
     .secret = true,
     .doc = "Access tokens of Smartsheet; org:token gives one to an organisation by its slug, without a "
            "prefix it "
            "belongs to the oldest."},
    {.name = "SMARTSHEET_BASE_URL",
     .type = SETTING_TEXT,
     .fallback = "https://api.smartsheet.com/2.0",
     .check = http_origin_secure,
     .rule = "must be an address with https:// (http:// only for this machine)",
     .doc = "Where Smartsheet's API is; that of the European or government cloud, or a stand-in."},
    {.name = "SMARTSHEET_RATE",
     .type = SETTING_RATE,
     .fallback = "300/min",
     .doc = "How many requests to Smartsheet there may be with one token; 0 is no limit."},
};

static enum err start(struct ctx *cx, void **kept) {
    struct smartsheet *s = calloc(1, sizeof(*s));
    if (s)
        s->limit = limiter_new(setting_rate(cx->modules->settings, "SMARTSHEET_RATE"));
    if (!s || !s->limit) {
        free(s);
        return fail(cx, ERR_MEMORY, "The client of Smartsheet could not start.");
    }
    *kept = s;
    return OK;
}

static void stop(void *kept) {
    struct smartsheet *s = kept;
    limiter_free(s->limit);
    free(s);
}

const struct module SMARTSHEET_MODULE = {
    .name = "smartsheet", TABLE(settings, SETTINGS), .start = start, .stop = stop};

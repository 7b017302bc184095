/* The routes and commands of the audit trail. */
#include "identity/audit.h"
#include "identity/audit_chain.h"
#include "identity/audit_seal.h"
#include "identity/audit_verify.h"

#include "base/json.h"

#include "net/command.h"
#include "net/listing.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

/* What the trail is filtered by. */
struct filters {
    struct str target, actor, action, kind;
    struct instant from, until;
};
static const struct field FILTER_FIELDS[] = {
    FIELD(struct filters, target, 0, "The key of the thing: a SKU, an address, an id.", .max = 500),
    FIELD(struct filters, actor, 0, "Who did it.", .max = 400),
    FIELD(struct filters, action, 0, "What was done, such as item.change.", .max = 100),
    FIELD(struct filters, kind, 0, "The kind of thing: the action before its dot, such as item.", .max = 100),
    FIELD(struct filters, from, 0, "Not before this time."),
    FIELD(struct filters, until, 0, "Before this time."),
};
static const struct listing_filter FILTERS[] = {
    {"target", NULL, "target", &FILTER_FIELDS[0], &AUDIT_STMTS[AUDIT_PAGE_TARGET]},
    {"actor", NULL, "actor", &FILTER_FIELDS[1], NULL},
    {"action", NULL, "action", &FILTER_FIELDS[2], NULL},
    {"kind", NULL, "kind", &FILTER_FIELDS[3], NULL},
    {"recorded_at", "gte", "from", &FILTER_FIELDS[4], NULL},
    {"recorded_at", "lt", "until", &FILTER_FIELDS[5], NULL},
};
static const struct listing_sort SORTS[] = {{"-recorded_at", &AUDIT_STMTS[AUDIT_PAGE], "recorded_at", "id"}};
static const struct listing LISTING = {
    .row = &AUDIT_ENTRY, .sorts = SORTS, .n_sorts = 1, .filters = FILTERS, .n_filters = 6};

struct verify_args {
    struct str anchor;
};
static const struct field VERIFY_FIELDS[] = {
    FIELD(struct verify_args, anchor, CREATE, "A head that was printed before; it must be part of the chain.",
          .min = 64, .max = 64),
};
static const struct schema VERIFY_ARGS = SCHEMA(struct verify_args, "AuditVerify", VERIFY_FIELDS);

static enum err verify(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct verify_args *in = rq->in;
    struct audit_report report;
    struct bytes anchor = {0};
    if (in->anchor.p && !hex_decode(cx->mem, in->anchor, &anchor))
        return fail_field(cx, S("anchor"), "must be 64 hexadecimal digits");
    enum err e = audit_verify(cx, anchor, &report);
    return e ? e : answer_object(cx, an, 200, &AUDIT_REPORT, &report);
}

static const struct field SEALED_FIELDS[] = {
    FIELD(struct audit_sealed, batches, OUT, "How many batches were sealed just now."),
    FIELD(struct audit_sealed, rows, OUT, "Their rows."),
    FIELD(struct audit_sealed, elsewhere, OUT, "Another process is the one that seals."),
};
static const struct schema SEALED = SCHEMA(struct audit_sealed, "AuditSealed", SEALED_FIELDS);

static enum err seal(struct ctx *cx, struct request *rq, struct answer *an) {
    struct audit_sealed done;
    (void)rq;
    enum err e = audit_seal_all(cx, &done);
    return e ? e : answer_object(cx, an, 200, &SEALED, &done);
}

static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/audit", READ, AREA_AUDIT, NEED_READ, listing_answer, "Who did what, newest first.",
          .flags = ROUTE_LIST, .out = &AUDIT_ENTRY, .listing = &LISTING),
    ROUTE(POST, "/operator/audit/verify", SLOW, AREA_OPERATOR, NEED_READ, verify,
          "Follows the chain of the audit trail and tells what does not fit.", .in = &VERIFY_ARGS,
          .in_use = CREATE, .out = &AUDIT_REPORT),
    ROUTE(POST, "/operator/audit/seal", SLOW, AREA_OPERATOR, NEED_WRITE, seal,
          "Seals at once what a second later would be sealed by itself.", .out = &SEALED),
};

static enum err verify_request(struct ctx *cx, const struct command_line *line, struct str *target,
                               struct str *body) {
    struct buf b = buf_new(cx->mem, 1024);
    bool first = true;
    buf_byte(&b, '{');
    if (line->option[0].p) {
        json_put_key(&b, &first, S("anchor"));
        json_put_string(&b, line->option[0]);
    }
    buf_byte(&b, '}');
    *target = S("/operator/audit/verify");
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The anchor is too long.") : OK;
}

static void print_finding(const struct audit_finding *x) {
    printf("batch %" PRId64, x->batch);
    if (x->row.has)
        printf(", row %" PRId64, x->row.v);
    printf(": %.*s", STR_FMT(x->problem));
    if (x->action.p)
        printf(" (now: %.*s %.*s by %.*s)", STR_FMT(x->action), STR_FMT(x->target), STR_FMT(x->actor));
    putchar('\n');
}

static void verify_print(struct ctx *cx, struct str data) {
    struct audit_report r;
    if (schema_decode(cx, &AUDIT_REPORT, OUT, IGNORE_UNKNOWN, data, &r, NULL))
        return;
    const struct audit_finding *x = r.findings.items;
    for (size_t i = 0; i < r.findings.n; i++)
        print_finding(&x[i]);
    if (r.findings.n == AUDIT_FINDINGS_MAX)
        printf("There is more; these are the first %d.\n", AUDIT_FINDINGS_MAX);
    printf("%" PRId64 " rows in %" PRId64 " batches: %s\n", r.rows, r.batches,
           r.findings.n ? "the trail is not what was sealed" : "every row is what was sealed");
    if (r.unsealed)
        printf("%" PRId64 " rows are not sealed yet; nothing is known about them.\n", r.unsealed);
    printf("head %.*s\n", STR_FMT(r.head));
}

static int verify_judge(struct ctx *cx, struct str data) {
    struct audit_report r;
    return schema_decode(cx, &AUDIT_REPORT, OUT, IGNORE_UNKNOWN, data, &r, NULL) || r.findings.n ? 1 : 0;
}

static enum err seal_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)cx, (void)line;
    *target = S("/operator/audit/seal");
    *body = S("{}");
    return OK;
}

static void seal_print(struct ctx *cx, struct str data) {
    struct audit_sealed done;
    if (schema_decode(cx, &SEALED, OUT, IGNORE_UNKNOWN, data, &done, NULL))
        return;
    if (done.elsewhere)
        puts("Another process is sealing the trail.");
    else
        printf("Sealed %" PRId64 " rows in %" PRId64 " batches.\n", done.rows, done.batches);
}

static const struct option VERIFY_OPTIONS[] = {
    {"anchor", "HEAD", false, "A head that was printed before and kept elsewhere; it must be in the chain."},
    {0}};
static const struct command COMMANDS[] = {
    {.name = "audit verify",
     .options = VERIFY_OPTIONS,
     .doc = "Follows the chain of the audit trail and prints its head.",
     .method = POST,
     .request = verify_request,
     .print = verify_print,
     .judge = verify_judge},
    {.name = "audit seal",
     .doc = "Seals what is not sealed yet.",
     .method = POST,
     .request = seal_request,
     .print = seal_print},
};

const struct module AUDIT_MODULE = {.name = "audit",
                                    TABLE(routes, ROUTES),
                                    .stmts = AUDIT_STMTS,
                                    .n_stmts = AUDIT_STMTS_N,
                                    TABLE(commands, COMMANDS),
                                    TABLE(metrics, AUDIT_METRICS)};

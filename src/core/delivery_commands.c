#include "base/json.h"
#include "core/delivery.h"
#include "core/ledger.h"
#include "net/listing.h"
#include "net/path.h"

#include <inttypes.h>

#include "base/banned.h"

#define TARGET_MAX 4096

static enum err done(struct ctx *cx, const struct buf *b, struct str *out) {
    if (b->failed)
        return fail(cx, ERR_USAGE, "The words of the command are too long.");
    *out = buf_str(b);
    return OK;
}

enum { STATE, SOURCE, FROM, TO, ORG, PREVIEW, ANSWERS };
static const struct option LIST_OPTIONS[] = {
    [STATE] = {"state", "S", false, "Only those that are pending, applied, exception or ignored."},
    [SOURCE] = {"source", "NAME", false, "Only those of one source."},
    [FROM] = {"from", "TIME", false, "Received at this time or later, as 2026-11-20T10:00:00Z."},
    [TO] = {"to", "TIME", false, "Received before this time."},
    [ORG] = {"org", "NAME", false, "Of this organisation; else of the oldest."},
    [PREVIEW] = {NULL, NULL, false, NULL},
};
static const struct option REPLAY_OPTIONS[] = {
    [STATE] = {"state", "S", false,
               "Of a range, only those that are pending, applied, exception or ignored."},
    [SOURCE] = {"source", "NAME", false, "Of a range, only those of one source."},
    [FROM] = {"from", "TIME", false, "A range: received at this time or later, as 2026-11-20T10:00:00Z."},
    [TO] = {"to", "TIME", false, "A range: received before this time; now if not said."},
    [ORG] = {"org", "NAME", false, "A range of this organisation; else of the oldest."},
    [PREVIEW] = {"preview", NULL, false, "Only say how many the range holds."},
    [ANSWERS] = {NULL, NULL, false, NULL},
};

static enum err list_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    struct buf b = buf_new(cx->mem, TARGET_MAX);
    (void)body;
    buf_add(&b, S("/operator/deliveries?"));
    query_put(&b, "filter[state]", line->option[STATE]);
    query_put(&b, "filter[source]", line->option[SOURCE]);
    query_put(&b, "filter[received_at][gte]", line->option[FROM]);
    query_put(&b, "filter[received_at][lt]", line->option[TO]);
    query_put(&b, "organisation", line->option[ORG]);
    return done(cx, &b, target);
}

static void print_line(const struct delivery *d) {
    char id[36], at[32];
    struct str received = instant_format(d->received_at, at);
    uuid_format(d->id, id);
    printf("%.36s  %-27.*s  %-9.*s  %-12.*s  %.*s%s%.*s\n", id, STR_FMT(received), STR_FMT(d->state),
           STR_FMT(d->source), STR_FMT(d->event_id), d->problem.p ? "  " : "", STR_FMT(d->problem));
}

static void list_print(struct ctx *cx, struct str data) {
    struct list rows;
    struct fault *faults;
    if (schema_decode_array(cx, &DELIVERY_LISTED, OUT, data, PAGE_SIZE_MAX, &rows, &faults))
        return;
    if (!rows.n)
        printf("No deliveries.\n");
    for (size_t i = 0; i < rows.n; i++)
        print_line((const struct delivery *)rows.items + i);
}

static enum err one(struct ctx *cx, const struct command_line *line, const char *after, struct str *target) {
    struct uuid id;
    struct buf b = buf_new(cx->mem, TARGET_MAX);
    if (!uuid_parse(line->words[0], &id))
        return fail(cx, ERR_USAGE, "%.*s is not the id of a delivery; see `entrepot deliveries list`.",
                    STR_FMT(line->words[0]));
    buf_printf(&b, "/operator/deliveries/%.*s%s", STR_FMT(line->words[0]), after);
    return done(cx, &b, target);
}

static enum err show_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)body;
    return one(cx, line, "", target);
}

static void print_text(const char *label, struct str value) {
    if (value.p)
        printf("%-12s %.*s\n", label, STR_FMT(value));
}

static void print_effect(const struct delivery_detail *x) {
    const struct move *m = x->moves.items;
    const struct delivery_order *o = x->orders.items;
    const struct job *j = x->jobs.items;
    for (size_t i = 0; i < x->moves.n; i++)
        printf("%-12s %" PRId64 " × %.*s  %.*s → %.*s\n", i ? "" : "moves", m[i].quantity, STR_FMT(m[i].sku),
               STR_FMT(m[i].from), STR_FMT(m[i].to));
    for (size_t i = 0; i < x->orders.n; i++)
        printf("%-12s %.*s %.*s, %.*s\n", "order", STR_FMT(o[i].channel), STR_FMT(o[i].order_id),
               STR_FMT(o[i].status));
    for (size_t i = 0; i < x->jobs.n; i++)
        printf("%-12s %.*s, attempt %" PRId64 " of %" PRId64 "  %.*s\n", "job", STR_FMT(j[i].state),
               j[i].attempts, j[i].attempts_max, STR_FMT(j[i].last_error));
    for (size_t i = 0; i < x->derived.n; i++) {
        printf("%-12s ", i ? "" : "fetched");
        print_line((const struct delivery *)x->derived.items + i);
    }
}

static void show_print(struct ctx *cx, struct str data) {
    struct delivery_detail x;
    if (schema_decode(cx, &DELIVERY_DETAIL, OUT, IGNORE_UNKNOWN, data, &x, NULL))
        return;
    print_line(&x.d);
    print_text("verdict", x.d.verdict.text);
    print_text("headers", x.d.headers.text);
    print_text("request", x.d.request_id);
    print_effect(&x);
    if (x.text.p)
        printf("%-12s %.*s\n", "body", STR_FMT(x.text));
    else
        printf("%-12s %" PRId64 " bytes that are no text\n", "body", x.d.body_size);
}

static void put_member(struct buf *b, bool *first, const char *key, struct str value) {
    if (!value.p)
        return;
    json_put_key(b, first, str_of(key));
    json_put_string(b, value);
}

static enum err replay_request(struct ctx *cx, const struct command_line *line, struct str *target,
                               struct str *body) {
    struct buf b = buf_new(cx->mem, TARGET_MAX);
    bool first = true;
    if (line->n_words)
        return one(cx, line, "/replay", target);
    if (!line->option[STATE].p && !line->option[SOURCE].p && !line->option[FROM].p && !line->option[TO].p)
        return fail(cx, ERR_USAGE, "Name a delivery, or a range by --state, --source, --from or --to.");
    buf_byte(&b, '{');
    put_member(&b, &first, "state", line->option[STATE]);
    put_member(&b, &first, "source", line->option[SOURCE]);
    put_member(&b, &first, "from", line->option[FROM]);
    put_member(&b, &first, "to", line->option[TO]);
    put_member(&b, &first, "organisation", line->option[ORG]);
    if (line->option[PREVIEW].p) {
        json_put_key(&b, &first, S("preview"));
        buf_add(&b, S("true"));
    }
    buf_byte(&b, '}');
    *target = S("/operator/deliveries/replay");
    return done(cx, &b, body);
}

static void replay_print(struct ctx *cx, struct str data) {
    struct replay_started s;
    char id[36];
    if (schema_decode(cx, &REPLAY_STARTED, OUT, IGNORE_UNKNOWN, data, &s, NULL)) {
        printf("It is applied again.\n"); /* one delivery, as it is shown */
        return;
    }
    printf("%s%" PRId64 " deliveries", s.more ? "more than " : "", s.count);
    if (uuid_is_nil(s.job_id))
        printf(".\n");
    else
        printf(" are applied again by the job %.*s.\n", STR_FMT(uuid_format(s.job_id, id)));
}

const struct command DELIVERY_COMMANDS[] = {
    {.name = "deliveries list",
     .options = LIST_OPTIONS,
     .doc = "Shows what came in from outside, newest first, with what became of it.",
     .method = GET,
     .request = list_request,
     .print = list_print,
     .pages = true},
    {.name = "deliveries show",
     .words = "ID",
     .doc = "Shows one delivery: its bytes, how it was proven, what it led to.",
     .method = GET,
     .request = show_request,
     .print = show_print},
    {.name = "deliveries replay",
     .words = "[ID]",
     .options = REPLAY_OPTIONS,
     .doc = "Applies one delivery again, or a range; nothing moves twice.",
     .method = POST,
     .request = replay_request,
     .print = replay_print},
};
_Static_assert(sizeof DELIVERY_COMMANDS / sizeof DELIVERY_COMMANDS[0] == DELIVERY_COMMANDS_N,
               "all commands are counted");

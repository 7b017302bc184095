#include "core/promise.h"

#include "core/inbox.h"
#include "core/item.h"
#include "core/reservation.h"
#include "core/shipment_event.h"
#include "jobs/jobs.h"

#include <stdlib.h>

#include "base/banned.h"

#define ORDER_SOURCE S("shipstation.order")
#define PLACE S("warehouse")
#define RETRY_MAX 200

struct owner {
    struct str channel, order_ref, state;
    bool has_parts, stands;
};
static const struct field OWNER_FIELDS[] = {
    FIELD(struct owner, channel, ROW, "Where it was sold."),
    FIELD(struct owner, order_ref, ROW, "The channel's name for it."),
    FIELD(struct owner, state, ROW, "What it has come to."),
    FIELD(struct owner, has_parts, ROW, "Whether the shipping service told of it."),
    FIELD(struct owner, stands, ROW, "Whether one of its parts is not cancelled."),
};
static const struct schema OWNER = SCHEMA(struct owner, "PromisedOrder", OWNER_FIELDS);

/* A line of a shipment or of a part of the order. */
struct wish {
    bool of_order;
    struct str ref, state;
    bool leaving;            /* it has left, and its stock has not moved yet */
    struct uuid delivery_id; /* which wants it reserved, or nil */
    struct str verdict, problem, sku;
    int64_t quantity;
};
static const struct field WISH_FIELDS[] = {
    FIELD(struct wish, of_order, ROW, "Of a part of the order, not of a shipment."),
    FIELD(struct wish, ref, ROW, "The shipment, or the part."),
    FIELD(struct wish, state, ROW, "What that has come to."),
    FIELD(struct wish, leaving, ROW, "Whether it has left, and its stock has not moved."),
    FIELD(struct wish, delivery_id, ROW, "The delivery that wants it."),
    FIELD(struct wish, verdict, ROW, "What has become of that."),
    FIELD(struct wish, problem, ROW, "And why."),
    FIELD(struct wish, sku, ROW, "The item."),
    FIELD(struct wish, quantity, ROW, "How many."),
};
static const struct schema WISH = SCHEMA(struct wish, "PromisedLine", WISH_FIELDS);

struct ahead {
    int64_t lacks;
};
static const struct field AHEAD_FIELDS[] = {FIELD(struct ahead, lacks, ROW, "What earlier orders lack.")};
static const struct schema AHEAD = SCHEMA(struct ahead, "LackAhead", AHEAD_FIELDS);

struct waiting {
    struct uuid id;
};
static const struct field WAITING_FIELDS[] = {
    FIELD(struct waiting, id, ROW, "An order that lacks something.", .column = "order_id")};
static const struct schema WAITING = SCHEMA(struct waiting, "ShortOrder", WAITING_FIELDS);

enum { SHOW, WISHES, LACKS_AHEAD, LACKS, LACKS_NOT, LACKING };
static const struct stmt SQL[] = {
    [SHOW] = {"promise_order", TENANT,
              "SELECT o.channel, o.order_ref, o.state, EXISTS (SELECT 1 FROM order_part p"
              " WHERE p.org_id = $org AND p.order_id = o.id) AS has_parts, EXISTS (SELECT 1 FROM order_part p"
              " WHERE p.org_id = $org AND p.order_id = o.id AND p.status <> 'cancelled') AS stands"
              " FROM sales_order o WHERE o.org_id = $org AND o.id = $1",
              NULL, &OWNER},
    [WISHES] = {"promise_wishes", TENANT,
                "SELECT FALSE AS of_order, s.shipment_ref AS ref, s.state,"
                " (s.state = 'shipped' AND NOT s.shipped_done) AS leaving, s.awaiting_id AS delivery_id,"
                " d.state AS verdict, d.problem, l.sku, l.quantity FROM shipment s JOIN sales_order_line l"
                " ON l.org_id = s.org_id AND l.order_id = s.order_id AND l.shipment_ref = s.shipment_ref"
                " LEFT JOIN inbox d ON d.org_id = s.org_id AND d.id = s.awaiting_id"
                " WHERE s.org_id = $org AND s.order_id = $1"
                " UNION ALL SELECT TRUE, p.part_ref, p.status, FALSE, p.delivery_id, d.state, d.problem,"
                " l.sku, l.quantity FROM order_part p JOIN order_part_line l"
                " ON l.org_id = p.org_id AND l.part_ref = p.part_ref"
                " LEFT JOIN inbox d ON d.org_id = p.org_id AND d.id = p.delivery_id"
                " WHERE p.org_id = $org AND p.order_id = $1",
                NULL, &WISH},
    [LACKS_AHEAD] = {"promise_lacks_ahead", TENANT,
                     "SELECT CAST(COALESCE(sum(x.lacks), 0) AS bigint) AS lacks FROM order_short x"
                     " WHERE x.org_id = $org AND x.sku = $1 AND x.order_id <> $2 AND NOT EXISTS"
                     " (SELECT 1 FROM order_short m WHERE m.org_id = $org AND m.sku = $1 AND m.order_id = $2"
                     " AND (m.since < x.since OR (m.since = x.since AND m.order_id < x.order_id)))",
                     NULL, &AHEAD},
    [LACKS] = {"promise_lacks", TENANT,
               "INSERT INTO order_short (org_id, sku, order_id, since, lacks) VALUES ($org, $1, $2, $3, $4)"
               " ON CONFLICT (org_id, sku, order_id) DO UPDATE SET lacks = excluded.lacks",
               NULL, NULL},
    [LACKS_NOT] = {"promise_lacks_not", TENANT,
                   "DELETE FROM order_short WHERE org_id = $org AND sku = $1 AND order_id = $2", NULL, NULL},
    [LACKING] = {"promise_lacking", TENANT,
                 "SELECT x.order_id FROM order_short x JOIN stock_level l ON l.org_id = x.org_id"
                 " AND l.sku = x.sku AND l.place = 'warehouse' WHERE x.org_id = $org"
                 " AND l.on_hand > l.reserved GROUP BY x.order_id ORDER BY min(x.since), x.order_id LIMIT $1",
                 NULL, &WAITING},
};

/* What a shipment, or the order itself, is to have of one item. */
struct claim {
    bool of_order;
    struct str ref, sku; /* ref: the shipment's; of the order itself none */
    int64_t wants, given;
    int64_t left; /* how many have left, by the shipment or by all */
    const struct reservation *row;
};
/* One item of the order: its claims, side by side. */
struct lot {
    struct claim *claims;
    size_t n;
    int64_t holds, available, lacks, lacks_ahead;
};
/* An order while it is balanced. */
struct book {
    struct uuid order_id;
    struct owner owner;
    struct list rows, wishes; /* of struct reservation; of struct wish, in order */
    struct claim *claims;
    struct lot *lots;
    size_t n_claims, n_lots;
};

static bool pending(const struct reservation *r) { return r && str_eq(r->state, S("pending")); }
static bool is(struct str a, const char *b) { return str_eq(a, str_of(b)); }

static int by_item(const void *x, const void *y) {
    const struct wish *a = x, *b = y;
    int c = str_cmp(a->sku, b->sku);
    if (c == 0)
        c = a->of_order - b->of_order;
    return c ? c : str_cmp(a->ref, b->ref);
}

static struct str ref_of(struct ctx *cx, const struct book *b, const struct claim *c) {
    if (c->of_order)
        return str_printf(cx->mem, "%.*s/%.*s", STR_FMT(b->owner.channel), STR_FMT(b->owner.order_ref));
    return shipment_event_id(cx, c->ref, str_of(SHIPMENT_STATUS[AWAITING_SHIPMENT]));
}

/* Its own reservation of the item, settled or not. */
static const struct reservation *row_of(struct ctx *cx, const struct book *b, const struct claim *c) {
    const struct reservation *r = b->rows.items;
    struct str ref = ref_of(cx, b, c);
    for (size_t i = 0; i < b->rows.n; i++)
        if (str_eq(r[i].sku, c->sku) && str_eq(r[i].source, c->of_order ? ORDER_SOURCE : SHIPMENT_SOURCE) &&
            (c->of_order || str_eq(r[i].source_ref, ref)))
            return &r[i];
    return NULL;
}

/* What a person has given up stays so. */
static bool given_up(const struct reservation *r) { return r && !pending(r) && r->settled_by.p; }

static void add_claim(struct ctx *cx, struct book *b, struct claim c) {
    c.row = row_of(cx, b, &c);
    if (given_up(c.row) || (!c.wants && !pending(c.row)))
        return;
    b->claims[b->n_claims++] = c;
}

static bool has_left(const struct wish *w) { return is(w->state, "shipped") || is(w->state, "returned"); }

static struct claim of_shipment(const struct book *b, const struct wish *w) {
    bool waits = is(w->state, "awaiting_shipment") && (b->owner.stands || !b->owner.has_parts);
    waits = waits || (w->leaving && !uuid_is_nil(w->delivery_id));
    return (struct claim){.ref = w->ref,
                          .sku = w->sku,
                          .wants = waits ? w->quantity : 0,
                          .left = has_left(w) ? w->quantity : 0};
}

/* The claims of one item, whose wishes stand side by side. */
static void claim_item(struct ctx *cx, struct book *b, const struct wish *w, size_t n) {
    struct claim own = {.of_order = true, .sku = w->sku};
    int64_t open = 0, taken_over = 0;
    for (size_t i = 0; i < n; i++) {
        if (w[i].of_order) {
            open += is(w[i].state, "open") ? w[i].quantity : 0;
            continue;
        }
        taken_over += is(w[i].state, "voided") ? 0 : w[i].quantity;
        own.left += has_left(&w[i]) ? w[i].quantity : 0;
        add_claim(cx, b, of_shipment(b, &w[i]));
    }
    own.wants = open > taken_over && !is(b->owner.state, "CANCELLED") ? open - taken_over : 0;
    add_claim(cx, b, own);
}

static bool is_claimed(const struct book *b, const struct reservation *r) {
    for (size_t i = 0; i < b->n_claims; i++)
        if (b->claims[i].row == r)
            return true;
    return false;
}

static int by_claim(const void *x, const void *y) {
    const struct claim *a = x, *b = y;
    int c = str_cmp(a->sku, b->sku);
    if (c == 0)
        c = a->of_order - b->of_order;
    return c ? c : str_cmp(a->ref, b->ref);
}

static void claim_all(struct ctx *cx, struct book *b) {
    const struct wish *w = b->wishes.items;
    const struct reservation *r = b->rows.items;
    for (size_t i = 0, n; i < b->wishes.n; i += n) {
        for (n = 1; i + n < b->wishes.n && str_eq(w[i].sku, w[i + n].sku); n++)
            ;
        claim_item(cx, b, w + i, n);
    }
    for (size_t i = 0; i < b->rows.n; i++) /* of lines that are gone */
        if (pending(&r[i]) && !is_claimed(b, &r[i]))
            b->claims[b->n_claims++] =
                (struct claim){.of_order = str_eq(r[i].source, ORDER_SOURCE), .sku = r[i].sku, .row = &r[i]};
    qsort(b->claims, b->n_claims, sizeof(*b->claims), by_claim);
    for (size_t i = 0; i < b->n_claims; i++) {
        struct claim *c = &b->claims[i];
        if (i == 0 || !str_eq(c->sku, c[-1].sku))
            b->lots[b->n_lots++] = (struct lot){.claims = c};
        struct lot *l = &b->lots[b->n_lots - 1];
        l->n++;
        l->holds += pending(c->row) ? c->row->quantity : 0;
    }
}

static enum err open_book(struct ctx *cx, struct book *b) {
    bool found;
    enum err e = db_get(cx, &SQL[SHOW], ARGS(A(b->order_id)), &b->owner, &found);
    if (e || (e = reservation_of_order(cx, b->order_id, &b->rows)) ||
        (e = db_list(cx, &SQL[WISHES], ARGS(A(b->order_id)), &b->wishes)))
        return e;
    size_t most = 2 * b->wishes.n + b->rows.n + 1;
    b->claims = NEW_N(cx->mem, struct claim, most);
    b->lots = NEW_N(cx->mem, struct lot, most);
    if (!b->claims || !b->lots)
        return fail(cx, ERR_MEMORY, "The order has too many lines.");
    if (b->wishes.n > 1)
        qsort(b->wishes.items, b->wishes.n, sizeof(struct wish), by_item);
    claim_all(cx, b);
    return OK;
}

/* Locks the levels, and learns what there is and what is left to earlier orders. */
static enum err look(struct ctx *cx, struct book *b) {
    struct str *skus = NEW_N(cx->mem, struct str, b->n_lots + 1);
    int64_t *available = NEW_N(cx->mem, int64_t, b->n_lots + 1);
    struct ahead *ahead = NEW_N(cx->mem, struct ahead, b->n_lots + 1);
    struct steps steps = {.cx = cx};
    if (!skus || !available || !ahead)
        return fail(cx, ERR_MEMORY, "The order has too many lines.");
    for (size_t i = 0; i < b->n_lots; i++)
        skus[i] = b->lots[i].claims->sku;
    enum err e = ledger_lock_available(cx, skus, b->n_lots, PLACE, available);
    for (size_t i = 0; i < b->n_lots; i++)
        steps_add(&steps, &SQL[LACKS_AHEAD], ARGS(A(skus[i]), A(b->order_id)), &ahead[i]);
    if (e || (e = steps_run(&steps)))
        return e;
    for (size_t i = 0; i < b->n_lots; i++) {
        b->lots[i].available = available[i];
        b->lots[i].lacks_ahead = ahead[i].lacks;
    }
    return OK;
}

static void share_out(struct lot *l) {
    int64_t more = l->available;
    if (more > 0)
        more = more > l->lacks_ahead ? more - l->lacks_ahead : 0;
    int64_t pool = l->holds + more > 0 ? l->holds + more : 0;
    for (size_t i = 0; i < l->n; i++) {
        struct claim *c = &l->claims[i];
        c->given = c->wants < pool ? c->wants : pool;
        pool -= c->given;
        l->lacks += c->wants - c->given;
    }
}

static void write_claim(struct ctx *cx, const struct book *b, struct steps *steps, const struct claim *c) {
    bool holds = pending(c->row);
    struct reservation r = {.sku = c->sku,
                            .place = PLACE,
                            .quantity = c->given,
                            .source = c->of_order ? ORDER_SOURCE : SHIPMENT_SOURCE,
                            .order_id = b->order_id};
    if (c->given == 0 && holds) {
        int64_t left = c->left < c->row->quantity ? c->left : c->row->quantity;
        reservation_settle(steps, c->row->id, left ? S("posted") : S("voided"), left);
    } else if (c->given && !(holds && c->row->quantity == c->given)) {
        r.source_ref = ref_of(cx, b, c);
        reservation_put(steps, &r);
    }
}

static enum err write_lots(struct ctx *cx, const struct book *b) {
    struct steps steps = {.cx = cx};
    struct holds holds = {NEW_N(cx->mem, struct hold, b->n_lots + 1), 0};
    if (!holds.v)
        return fail(cx, ERR_MEMORY, "The order has too many lines.");
    for (size_t i = 0; i < b->n_lots; i++) {
        const struct lot *l = &b->lots[i];
        int64_t delta = -l->holds;
        for (size_t k = 0; k < l->n; k++) {
            write_claim(cx, b, &steps, &l->claims[k]);
            delta += l->claims[k].given;
        }
        if (delta)
            holds.v[holds.n++] = (struct hold){l->claims->sku, PLACE, delta};
        if (l->lacks)
            steps_add(&steps, &SQL[LACKS], ARGS(A(l->claims->sku), A(b->order_id), A(cx->now), A(l->lacks)),
                      NULL);
        else
            steps_add(&steps, &SQL[LACKS_NOT], ARGS(A(l->claims->sku), A(b->order_id)), NULL);
    }
    enum err e = steps_run(&steps);
    return e ? e : ledger_hold(cx, holds);
}

/* The claim that a wish has become, if it is short. */
static const struct claim *lack_of(const struct book *b, const struct wish *w) {
    for (size_t i = 0; i < b->n_claims; i++) {
        const struct claim *c = &b->claims[i];
        if (c->given < c->wants && c->of_order == w->of_order && str_eq(c->sku, w->sku) &&
            (c->of_order ? is(w->state, "open") : str_eq(c->ref, w->ref)))
            return c;
    }
    return NULL;
}

/* No value: the catalogue has it. */
static enum err not_in_catalogue(struct ctx *cx, const struct wish *w, struct str *problem) {
    struct item it;
    bool found, come = false;
    enum err e = item_find(cx, w->sku, &it, &found);
    if (e || found || (e = inbox_wait(cx, w->delivery_id, w->sku, &come)))
        return e;
    if (come) /* just now, from elsewhere: the job is run again */
        return fail(cx, ERR_UNAVAILABLE, "%.*s has just entered the catalogue.", STR_FMT(w->sku));
    *problem = str_printf(cx->mem, "%.*s is not in the catalogue; applied when it is.", STR_FMT(w->sku));
    return OK;
}

static bool first_of_delivery(const struct wish *w, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (uuid_eq(w[k].delivery_id, w[i].delivery_id))
            return false;
    return !uuid_is_nil(w[i].delivery_id) && w[i].verdict.p;
}

/* What is wrong with one delivery; no value: nothing. */
static enum err problem_of(struct ctx *cx, const struct book *b, const struct wish *first,
                           struct str *problem) {
    const struct wish *w = b->wishes.items;
    struct buf text = buf_new(cx->mem, 4096);
    *problem = (struct str){0};
    for (size_t i = (size_t)(first - w); i < b->wishes.n && text.n < 500; i++) {
        const struct claim *c = uuid_eq(w[i].delivery_id, first->delivery_id) ? lack_of(b, &w[i]) : NULL;
        if (!c)
            continue;
        enum err e = not_in_catalogue(cx, &w[i], problem);
        if (e || problem->p)
            return e;
        buf_printf(&text, "%s%lld of %lld of %.*s",
                   text.n ? ", " : "Only this could be reserved: ", (long long)c->given, (long long)c->wants,
                   STR_FMT(c->sku));
    }
    if (text.n)
        *problem = buf_str(&text);
    return OK;
}

/* One that a person has dismissed stays so. */
static enum err settle_deliveries(struct ctx *cx, const struct book *b) {
    const struct wish *w = b->wishes.items;
    struct steps steps = {.cx = cx};
    enum err e = OK;
    for (size_t i = 0; !e && i < b->wishes.n; i++) {
        struct str problem;
        if (!first_of_delivery(w, i) || is(w[i].verdict, "ignored") ||
            (e = problem_of(cx, b, &w[i], &problem)))
            continue;
        if (problem.p && !str_eq(problem, w[i].problem))
            inbox_settle(&steps, w[i].delivery_id, S("exception"), problem);
        else if (!problem.p && !is(w[i].verdict, "applied"))
            inbox_settle(&steps, w[i].delivery_id, S("applied"), problem);
    }
    return e || !steps.n ? e : steps_run(&steps);
}

enum err promise_lock(struct ctx *cx, struct uuid order_id) {
    struct list rows;
    return reservation_of_order(cx, order_id, &rows);
}

enum err promise_balance(struct ctx *cx, struct uuid order_id) {
    struct book b = {.order_id = order_id};
    enum err e = open_book(cx, &b);
    if (!e && b.n_lots && !(e = look(cx, &b))) {
        for (size_t i = 0; i < b.n_lots; i++)
            share_out(&b.lots[i]);
        e = write_lots(cx, &b);
    }
    return e ? e : settle_deliveries(cx, &b);
}

static enum err again(struct ctx *cx, void *arg) {
    const struct waiting *w = arg;
    struct steps steps = {.cx = cx};
    order_lock(&steps, w->id);
    cx->actor.name = SHIPMENT_SOURCE;
    enum err e = steps_run(&steps);
    if (e || (e = promise_lock(cx, w->id)))
        return e;
    return promise_balance(cx, w->id);
}

/* The job `promises.retry`. */
static enum err retry(struct ctx *cx, const struct job *job) {
    struct list lacking;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_list(cx, &SQL[LACKING], ARGS(A(RETRY_MAX)), &lacking);
    db_read_end(cx);
    struct waiting *w = lacking.items;
    for (size_t i = 0; !e && i < lacking.n && !job_cancelled(job); i++) {
        cx->now = clock_now(cx->clock);
        e = job_write(cx, job, again, &w[i]);
    }
    return e;
}

static const struct job_type JOBS[] = {
    {.name = "promises.retry",
     .mode = JOB_THREAD,
     .run = retry,
     .attempts_max = 1,
     .schedule = "* * * * *",
     .doc = "Reserves what orders lack, once there is more, for the earliest order first."},
};

const struct module PROMISE_MODULE = {.name = "promises", TABLE(stmts, SQL), TABLE(jobs, JOBS)};

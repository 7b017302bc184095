#include "core/ledger.h"

#include "core/item.h"
#include "core/place.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

static const struct field MOVE_FIELDS[] = {
    FIELD(struct move, id, OUT | ROW, "The move's own id."),
    FIELD(struct move, sku, CREATE | OUT | ROW | REQUIRED, "What is moved.", .min = 1, .max = SKU_MAX,
          .check = sku_valid, .rule = SKU_RULE),
    FIELD(struct move, quantity, CREATE | OUT | ROW | REQUIRED, "How many, in the item's unit.", .min = 1,
          .max = MOVE_MAX),
    FIELD(struct move, from, CREATE | OUT | ROW | REQUIRED, "The code of the place it leaves.",
          .column = "from_place", .min = 1, .max = 64),
    FIELD(struct move, to, CREATE | OUT | ROW | REQUIRED, "The code of the place it comes to.",
          .column = "to_place", .min = 1, .max = 64),
    FIELD(struct move, reason, CREATE | OUT | ROW, "Why it was moved, for people.", .max = 500),
    FIELD(struct move, source, CREATE | OUT | ROW, "Who reports it: a system, a device; api if not said.",
          .min = 1, .max = 64),
    FIELD(struct move, source_ref, CREATE | OUT | ROW,
          "The source's own name for the event; with it, sending twice moves once.", .min = 1, .max = 200),
    FIELD(struct move, at, OUT | ROW, "When it was recorded.", .column = "recorded_at"),
    FIELD(struct move, actor, OUT | ROW, "Who recorded it."),
    FIELD(struct move, reverses, OUT | ROW, "The move that this one takes back."),
};
const struct schema MOVE = SCHEMA(struct move, "Move", MOVE_FIELDS);

static const struct field LEVEL_FIELDS[] = {
    FIELD(struct stock_level, sku, OUT | ROW, "The item."),
    FIELD(struct stock_level, place, OUT | ROW, "The code of the place."),
    FIELD(struct stock_level, on_hand, OUT | ROW,
          "What is there; below zero in places outside, or when oversold."),
    FIELD(struct stock_level, reserved, OUT | ROW, "What of it is promised."),
    FIELD(struct stock_level, available, OUT | ROW, "On hand less reserved."),
    FIELD(struct stock_level, oversold, OUT | ROW, "More was shipped than was there; receipts clear it."),
    FIELD(struct stock_level, unknown, OUT | ROW,
          "Nobody vouches for these numbers; an approved count does."),
};
const struct schema LEVEL = SCHEMA(struct stock_level, "Level", LEVEL_FIELDS);

/* A level that is locked: its newest posting and its numbers. */
struct head {
    struct instant posted_at;
    int64_t on_hand, available;
    bool bounded;
};
static const struct field HEAD_FIELDS[] = {
    FIELD(struct head, posted_at, ROW, "When its newest posting was recorded."),
    FIELD(struct head, on_hand, ROW, "What is there."),
    FIELD(struct head, available, ROW, "On hand less reserved."),
    FIELD(struct head, bounded, ROW, "Whether it holds no less than is reserved."),
};
static const struct schema HEAD = SCHEMA(struct head, "LevelHead", HEAD_FIELDS);

struct seal {
    struct instant sealed_at;
};
static const struct field SEAL_FIELDS[] = {FIELD(struct seal, sealed_at, ROW, "Up to when all is told.")};
static const struct schema SEAL = SCHEMA(struct seal, "LedgerSeal", SEAL_FIELDS);

struct lapsed {
    int64_t quantity;
};
static const struct field LAPSED_FIELDS[] = {
    FIELD(struct lapsed, quantity, ROW, "What was promised until now.")};
static const struct schema LAPSED = SCHEMA(struct lapsed, "Lapsed", LAPSED_FIELDS);

enum {
    INSERT,
    INSERT_ROWS,
    ADD,
    HOLD,
    LAPSE,
    LEVEL_AT,
    LOCK,
    SEALED,
    POSTINGS,
    RETIME,
    TOUCH,
    OF_EVENT,
    OF_KEY
};
#define INSERT_MOVE                                                             \
    "INSERT INTO stock_move (org_id, " MOVE_COLUMNS ")"                         \
    " SELECT i.org_id, $1, i.sku, $3, f.code, t.code, $6, $7, $8, $9, $10, $11" \
    " FROM item i, place f, place t WHERE i.org_id = $org AND i.sku = $2"       \
    " AND f.org_id = $org AND f.code = $4 AND t.org_id = $org AND t.code = $5"  \
    " ON CONFLICT (org_id, source, source_ref, sku, from_place, to_place) DO NOTHING"
static const struct stmt SQL[] = {
    [INSERT] = {"move_insert", TENANT, INSERT_MOVE, NULL, NULL},
    /* What does not exist is NULL, which its column refuses. */
    [INSERT_ROWS] =
        {"moves_insert", TENANT, INSERT_MOVE,
         "INSERT INTO stock_move (org_id, " MOVE_COLUMNS ") SELECT $org, u.id,"
         " (SELECT i.sku FROM item i WHERE i.org_id = $org AND i.sku = u.sku), u.quantity,"
         " (SELECT f.code FROM place f WHERE f.org_id = $org AND f.code = u.from_place),"
         " (SELECT t.code FROM place t WHERE t.org_id = $org AND t.code = u.to_place),"
         " u.reason, u.source, u.source_ref, u.recorded_at, u.actor, u.reverses"
         " FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],"
         " $8::text[], $9::timestamptz[], $10::text[], $11::uuid[]) AS u(" MOVE_COLUMNS ")"
         " ON CONFLICT (org_id, source, source_ref, sku, from_place, to_place) DO NOTHING",
         NULL},
    /* The guard and the reason to act stand in the statement: it changes nothing unless its move was
       recorded, and at a level time only goes forward, past what has been told of it as well: the instants
       of a posting begin with $8 and end with $4. What is
       available may not fall below zero; a change that takes no more than it frees only needs the goods to be
       there. */
    [ADD] = {"level_add", TENANT,
             "UPDATE stock_level SET on_hand = on_hand + $3, reserved = reserved + $7,"
             " oversold = (bounded AND on_hand + $3 < reserved + $7), updated_at = $4, posted_at = $4 WHERE "
             "org_id = $org AND sku = $1 AND place = $2"
             " AND (NOT bounded OR $5 OR on_hand + $3 >= reserved + $7"
             " OR ($3 >= $7 AND ($3 >= 0 OR on_hand + $3 >= 0)))"
             " AND (posted_at IS NULL OR posted_at < $8)"
             " AND NOT EXISTS (SELECT 1 FROM stock_seal s WHERE s.org_id = $org AND s.sealed_at >= $8)"
             " AND EXISTS (SELECT 1 FROM stock_move m WHERE m.org_id = $org AND m.id = $6)"
             " RETURNING posted_at, on_hand, on_hand - reserved AS available, bounded",
             NULL, &HEAD},
    /* A change of what is reserved alone; $5 is the move without which it does not happen, if any. */
    [HOLD] = {"level_hold", TENANT,
              "UPDATE stock_level SET reserved = reserved + $3,"
              " oversold = (bounded AND on_hand < reserved + $3), updated_at = $4"
              " WHERE org_id = $org AND sku = $1 AND place = $2"
              " AND (NOT bounded OR $3 <= 0 OR on_hand >= reserved + $3)"
              " AND (EXISTS (SELECT 1 FROM stock_move m WHERE m.org_id = $org AND m.id = $5) OR $5 IS NULL)",
              NULL, NULL},
    /* Who has one of them locked wants the level that is held here: not waited for. */
    [LAPSE] = {"reservations_lapse", TENANT,
               "UPDATE reservation SET state = 'expired', settled_at = $3 WHERE org_id = $org AND sku = $1"
               " AND place = $2 AND state = 'pending' AND expires_at <= $3 RETURNING quantity",
               "UPDATE reservation SET state = 'expired', settled_at = $3 WHERE org_id = $org AND id IN"
               " (SELECT id FROM reservation WHERE org_id = $org AND sku = $1 AND place = $2"
               " AND state = 'pending' AND expires_at <= $3 FOR UPDATE SKIP LOCKED) RETURNING quantity",
               &LAPSED},
    [LEVEL_AT] = {"level_lock_known", TENANT,
                  "UPDATE stock_level SET updated_at = $3 WHERE org_id = $org AND sku = $1 AND place = $2"
                  " RETURNING sku, place, on_hand, reserved, on_hand - reserved AS available, oversold,"
                  " FALSE AS unknown",
                  NULL, &LEVEL},
    [LOCK] = {"level_lock", TENANT,
              "INSERT INTO stock_level (org_id, sku, place, bounded, on_hand, reserved, oversold, updated_at)"
              " SELECT p.org_id, $1, p.code, p.bounded, 0, 0, FALSE, $3 FROM place p"
              " WHERE p.org_id = $org AND p.code = $2"
              " ON CONFLICT (org_id, sku, place) DO UPDATE SET updated_at = excluded.updated_at"
              " RETURNING posted_at, on_hand, on_hand - reserved AS available, bounded",
              NULL, &HEAD},
    [SEALED] = {"ledger_sealed", TENANT, "SELECT sealed_at FROM stock_seal WHERE org_id = $org", NULL, &SEAL},
    [POSTINGS] =
        {"postings_insert", TENANT,
         "INSERT INTO stock_posting (org_id, sku, place, recorded_at, line, move_id, quantity, balance)"
         " VALUES ($org, $1, $2, $3, $4, $5, $6, $7)",
         "INSERT INTO stock_posting (org_id, sku, place, recorded_at, line, move_id, quantity, balance)"
         " SELECT $org, u.* FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::uuid[],"
         " $6::bigint[], $7::bigint[]) AS u",
         NULL},
    /* These two correct rows of the transaction under way, which nobody has seen yet. */
    [RETIME] = {"move_retime", TENANT,
                "UPDATE stock_move SET recorded_at = $2 WHERE org_id = $org AND id = $1", NULL, NULL},
    [TOUCH] = {"level_touch", TENANT,
               "UPDATE stock_level SET posted_at = $3 WHERE org_id = $org AND sku = $1 AND place = $2", NULL,
               NULL},
    [OF_EVENT] = {"moves_of_event", TENANT,
                  "SELECT " MOVE_COLUMNS
                  " FROM stock_move WHERE org_id = $org AND source = $1 AND source_ref = $2"
                  " ORDER BY sku, from_place, to_place",
                  NULL, &MOVE},
    [OF_KEY] = {"move_of_key", TENANT,
                "SELECT " MOVE_COLUMNS
                " FROM stock_move WHERE org_id = $org AND source = $1 AND source_ref = $2"
                " AND sku = $3 AND from_place = $4 AND to_place = $5",
                NULL, &MOVE},
};

enum err ledger_of_event(struct ctx *cx, struct str source, struct str source_ref, struct list *moves) {
    return db_list(cx, &SQL[OF_EVENT], ARGS(A(source), A(source_ref)), moves);
}

static int by_key(const void *a, const void *b) {
    const struct move *x = a, *y = b;
    int c = str_cmp(x->sku, y->sku);
    if (c == 0)
        c = str_cmp(x->from, y->from);
    return c ? c : str_cmp(x->to, y->to);
}

bool ledger_sum_lines(void *lines, size_t *n, size_t size, size_t quantity,
                      int (*order)(const void *a, const void *b)) {
    char *kept = lines, *end = kept + *n * size, *next = kept;
    if (*n > 1)
        qsort(lines, *n, size, order);
    for (char *line = lines; line < end; line += size) {
        if (next == lines || order(kept, line) != 0) {
            kept = next;
            next += size;
            memmove(kept, line, size);
            continue;
        }
        int64_t *sum = (int64_t *)(void *)(kept + quantity);
        *sum += *(int64_t *)(void *)(line + quantity);
        if (*sum > MOVE_MAX)
            return false;
    }
    *n = (size_t)(next - (char *)lines) / size;
    return true;
}

/* One change of one level, by all lines and holds that touch it; line is the first of them, NULL for holds
 * alone. */
struct change {
    const struct move *line;
    struct str sku, place;
    int64_t delta, held;
    bool done;
    struct head head; /* once it is done */
    int64_t later;    /* while postings are counted backwards: what the lines behind did to it */
};

static int by_level(const void *a, const void *b) {
    const struct change *x = a, *y = b;
    int c = str_cmp(x->sku, y->sku);
    return c ? c : str_cmp(x->place, y->place);
}

static void add_hold(struct steps *steps, struct str sku, struct str place, int64_t delta, struct uuid move) {
    steps_add(steps, &SQL[HOLD], ARGS(A(sku), A(place), A(delta), A(steps->cx->now), A(move)), NULL);
}

/* The line was not recorded: known already, or something in it does not exist. */
static enum err explain_refused(struct ctx *cx, struct move *line, bool *repeated) {
    struct move known;
    bool found = false;
    enum err e = OK;
    if (line->source_ref.p)
        e = db_get(cx, &SQL[OF_KEY],
                   ARGS(A(line->source), A(line->source_ref), A(line->sku), A(line->from), A(line->to)),
                   &known, &found);
    if (e)
        return e;
    if (found) {
        if (known.quantity != line->quantity || !str_eq(known.reason, line->reason))
            return fail(cx, ERR_CONFLICT, "%.*s %.*s was recorded before with another quantity or reason.",
                        STR_FMT(line->source), STR_FMT(line->source_ref));
        *line = known;
        *repeated = true;
        return OK;
    }
    struct item it;
    struct place p;
    if ((e = item_find(cx, line->sku, &it, &found)))
        return e;
    if (!found)
        (void)fail_field(cx, S("sku"), "%.*s is not in the catalogue", STR_FMT(line->sku));
    if ((e = place_find(cx, line->from, &p, &found)))
        return e;
    if (!found)
        (void)fail_field(cx, S("from"), "there is no place with the code %.*s", STR_FMT(line->from));
    if ((e = place_find(cx, line->to, &p, &found)))
        return e;
    if (!found)
        (void)fail_field(cx, S("to"), "there is no place with the code %.*s", STR_FMT(line->to));
    return cx->fault.code ? cx->fault.code
                          : fail(cx, ERR_CONFLICT, "%.*s was recorded at the same moment by another request.",
                                 STR_FMT(line->sku));
}

/* All lines were refused as known: that is a repeat. Some were: the event has changed since. */
static enum err check_repeat(struct ctx *cx, struct move *lines, size_t n, const struct step *steps,
                             enum posted *out) {
    size_t repeats = 0;
    for (size_t i = 0; i < n; i++) {
        bool repeated = false;
        if (steps[i].changed == 1)
            continue;
        enum err e = explain_refused(cx, &lines[i], &repeated);
        if (e)
            return e;
        repeats += repeated;
    }
    struct list stored = {.n = n};
    enum err e = repeats == n ? ledger_of_event(cx, lines[0].source, lines[0].source_ref, &stored) : OK;
    if (e)
        return e;
    if (repeats > 0 && (repeats < n || stored.n != n))
        return fail(cx, ERR_CONFLICT, "%.*s %.*s was recorded before with other lines.",
                    STR_FMT(lines[0].source), STR_FMT(lines[0].source_ref));
    *out = repeats ? REPEATED : POSTED;
    return OK;
}

/* What posting does, under way: first all moves, then all levels in key order, in one round trip; then the
 * postings, which are only told. */
struct post {
    struct steps steps;
    struct move *lines;
    struct change *changes;
    size_t n_lines, n_changes;
    enum posting how;
    bool lot; /* each line is an event of its own */
};

static struct change *change_of(const struct post *p, const struct move *line, struct str place) {
    struct change key = {.sku = line->sku, .place = place};
    return bsearch(&key, p->changes, p->n_changes, sizeof(key), by_level);
}

/* One side of line i. Lines are counted backwards: a balance is the level's, less what the lines behind have
 * done to it. */
static enum err add_posting(struct steps *rows, const struct post *p, size_t i, struct str place,
                            int64_t quantity) {
    const struct move *m = &p->lines[i];
    struct change *c = change_of(p, m, place);
    int64_t balance = c->head.on_hand - c->later, reserved = c->head.on_hand - c->head.available;
    if (p->lot && p->how == REQUEST && quantity < 0 && c->head.bounded && balance < reserved)
        return fail(rows->cx, ERR_CONFLICT, "%.*s is not covered by what comes before it.", STR_FMT(m->sku));
    c->later += quantity;
    (void)steps_add_row(
        rows, &SQL[POSTINGS],
        ARGS(A(m->sku), A(place), A(m->at), A((int64_t)i), A(m->id), A(quantity), A(balance)));
    return OK;
}

static enum err tell_postings(struct ctx *cx, const struct post *p) {
    struct steps rows = {.cx = cx};
    enum err e = OK;
    for (size_t i = p->n_lines; !e && i-- > 0;)
        if (!(e = add_posting(&rows, p, i, p->lines[i].from, -p->lines[i].quantity)))
            e = add_posting(&rows, p, i, p->lines[i].to, p->lines[i].quantity);
    return e ? e : steps_tell(&rows);
}

/* The changes of all lines and holds, one a level: locked in key order and checked once. */
static void sum_changes(struct post *p, struct holds holds) {
    size_t all = 0;
    for (size_t i = 0; i < p->n_lines; i++) {
        struct move *m = &p->lines[i];
        p->changes[all++] =
            (struct change){.line = m, .sku = m->sku, .place = m->from, .delta = -m->quantity};
        p->changes[all++] = (struct change){.line = m, .sku = m->sku, .place = m->to, .delta = m->quantity};
    }
    for (size_t i = 0; i < holds.n; i++) {
        const struct hold *h = &holds.v[i];
        p->changes[all++] = (struct change){.sku = h->sku, .place = h->place, .held = h->delta};
    }
    qsort(p->changes, all, sizeof(*p->changes), by_level);
    for (size_t i = 0; i < all; i++) {
        const struct change *c = &p->changes[i];
        struct change *last = p->n_changes > 0 ? &p->changes[p->n_changes - 1] : NULL;
        if (!last || by_level(last, c) != 0) {
            p->changes[p->n_changes++] = *c;
            continue;
        }
        last->delta += c->delta;
        last->held += c->held;
        last->line = last->line ? last->line : c->line;
    }
}

/* One step a change; the move of the first line stands for the posting. */
static void add_change(struct steps *steps, const struct post *p, struct change *c) {
    const struct move *first = &p->lines[0], *last = &p->lines[p->n_lines - 1];
    if (c->line)
        steps_add(steps, &SQL[ADD],
                  ARGS(A(c->sku), A(c->place), A(c->delta), A(last->at), A((bool)(p->how == FACT)),
                       A(c->line->id), A(c->held), A(first->at)),
                  &c->head);
    else
        add_hold(steps, c->sku, c->place, c->held, first->id);
}

/* In a lot each event has an instant of its own; a request is one even where it says the same source_ref. */
static bool goes_with_line_before(const struct post *p, size_t i) {
    const struct move *m = &p->lines[i], *before = m - 1;
    return !p->lot || (p->how == FACT && m->source_ref.p && str_eq(m->source, before->source) &&
                       str_eq(m->source_ref, before->source_ref));
}

static enum err send(struct ctx *cx, struct post *p, struct holds holds) {
    p->steps.cx = cx;
    p->changes = NEW_N(cx->mem, struct change, 2 * p->n_lines + holds.n);
    if (!p->changes)
        return fail(cx, ERR_MEMORY, "The event has too many lines.");
    for (size_t i = 0; i < p->n_lines; i++) {
        struct move *m = &p->lines[i];
        if (i > 0 && !goes_with_line_before(p, i))
            cx->now.us++;
        m->id = uuid_new(cx->now);
        m->at = cx->now;
        if (!p->lot)
            m->actor = cx->actor.name;
        struct args args = args_of(cx, &MOVE, m, ARGS());
        if (p->lot)
            (void)steps_add_row(&p->steps, &SQL[INSERT_ROWS], args);
        else
            steps_add(&p->steps, &SQL[INSERT], args, NULL);
    }
    cx->now.us++; /* so that a second posting of the same closure has an instant of its own */
    sum_changes(p, holds);
    size_t first = p->steps.n;
    for (size_t i = 0; i < p->n_changes; i++)
        add_change(&p->steps, p, &p->changes[i]);
    enum err e = steps_run(&p->steps);
    for (size_t i = 0; !e && i < p->n_changes; i++)
        p->changes[i].done = !p->changes[i].line || p->steps.v[first + i].changed == 1;
    return e;
}

/* What the statement asks of a level. */
static bool enough(const struct head *h, int64_t delta, int64_t held) {
    return !h->bounded || h->available + delta - held >= 0 ||
           (delta >= held && (delta >= 0 || h->on_hand + delta >= 0));
}

/* Promises that have passed their expiry count no longer for who wants to take: gives how many they held. */
static enum err lapse(struct ctx *cx, struct str sku, struct str place, int64_t *freed) {
    struct list lapsed;
    *freed = 0;
    enum err e = db_list(cx, &SQL[LAPSE], ARGS(A(sku), A(place), A(cx->now)), &lapsed);
    const struct lapsed *rows = lapsed.items;
    for (size_t i = 0; !e && i < lapsed.n; i++)
        *freed += rows[i].quantity;
    return e;
}

static enum err insufficient(struct ctx *cx, struct str sku, struct str place, int64_t available,
                             int64_t takes) {
    return fail(cx, ERR_INSUFFICIENT,
                "%" PRId64 " of %.*s are available at %.*s; the request takes %" PRId64 ".", available,
                STR_FMT(sku), STR_FMT(place), takes);
}

static enum err make_way(struct ctx *cx, struct change *c, const struct head *h) {
    int64_t freed;
    enum err e = lapse(cx, c->sku, c->place, &freed);
    if (e)
        return e;
    if (!enough(h, c->delta, c->held - freed))
        return insufficient(cx, c->sku, c->place, h->available + freed, c->held - c->delta);
    c->held -= freed;
    return OK;
}

/* Locks the levels that did not change, making those that were not there, and learns what the posting's
 * instant must be past. ERR_INSUFFICIENT where that was the reason. */
static enum err lock_undone(struct ctx *cx, struct post *p, struct instant *newest, size_t *n) {
    struct steps look = {.cx = cx};
    struct head *heads = NEW_N(cx->mem, struct head, p->n_changes);
    struct seal seal = {0};
    if (!heads)
        return fail(cx, ERR_MEMORY, "The event has too many lines.");
    *n = 0;
    for (size_t i = 0; i < p->n_changes; i++)
        if (!p->changes[i].done)
            steps_add(&look, &SQL[LOCK],
                      ARGS(A(p->changes[i].sku), A(p->changes[i].place), A(p->changes[i].line->at)),
                      &heads[(*n)++]);
    steps_add(&look, &SQL[SEALED], ARGS(), &seal);
    enum err e = *n ? steps_run(&look) : OK;
    *newest = seal.sealed_at;
    for (size_t i = 0, k = 0; !e && i < p->n_changes; i++) {
        struct change *c = &p->changes[i];
        if (c->done)
            continue;
        const struct head *h = &heads[k++];
        if (p->how == REQUEST && !enough(h, c->delta, c->held))
            e = make_way(cx, c, h);
        if (h->posted_at.us > newest->us)
            *newest = h->posted_at;
    }
    return e;
}

/* Gives what was done already the later instants that the rest needs: the first becomes at. */
static void retime(struct steps *steps, const struct post *p, struct instant at) {
    int64_t later = at.us - p->lines[0].at.us;
    for (size_t i = 0; i < p->n_lines; i++) {
        p->lines[i].at.us += later;
        steps_add(steps, &SQL[RETIME], ARGS(A(p->lines[i].id), A(p->lines[i].at)), NULL);
    }
    for (size_t i = 0; i < p->n_changes; i++) {
        const struct change *c = &p->changes[i];
        if (c->done && c->line)
            steps_add(steps, &SQL[TOUCH], ARGS(A(c->sku), A(c->place), A(p->lines[p->n_lines - 1].at)), NULL);
    }
}

#define TRIES 5
/* Levels that did not change: they were not there yet, have too little, or had a later posting, of another
 * process or before a step of the clock, or were told of up to now. */
static enum err complete(struct ctx *cx, struct post *p) {
    for (int try = 0; try < TRIES; try++) {
        struct steps again = {.cx = cx};
        struct instant newest = {0};
        size_t n = 0;
        enum err e = lock_undone(cx, p, &newest, &n);
        if (e || n == 0)
            return e ? e : tell_postings(cx, p);
        if (newest.us >= p->lines[0].at.us)
            retime(&again, p, (struct instant){newest.us + 1});
        size_t first = again.n;
        for (size_t i = 0; i < p->n_changes; i++)
            if (!p->changes[i].done)
                add_change(&again, p, &p->changes[i]);
        if ((e = steps_run(&again)))
            return e;
        for (size_t i = 0; i < p->n_changes; i++)
            if (!p->changes[i].done)
                p->changes[i].done = again.v[first++].changed == 1;
    }
    return fail(cx, ERR_UNAVAILABLE, "The ledger is being read and written too fast just now; try again.");
}

enum err ledger_post_holds(struct ctx *cx, struct move *lines, size_t *n, struct holds holds,
                           enum posting how, enum posted *out) {
    struct post p = {.lines = lines, .how = how};
    assert(*n > 0);
    for (size_t i = 0; i < *n; i++)
        if (str_eq(lines[i].from, lines[i].to))
            return fail_field(cx, S("to"), "must not be the place that the item leaves");
    /* The ledger's key could not tell lines of one key apart. */
    if (!ledger_sum_lines(lines, n, sizeof(*lines), offsetof(struct move, quantity), by_key))
        return fail_field(cx, S("quantity"), "must be at most %d in all for one item", MOVE_MAX);
    p.n_lines = *n;
    enum err e;
    if ((e = send(cx, &p, holds)) || (e = check_repeat(cx, lines, *n, p.steps.v, out)))
        return e;
    return *out == POSTED ? complete(cx, &p) : OK;
}

enum err ledger_post(struct ctx *cx, struct move *lines, size_t *n, enum posting how, enum posted *out) {
    return ledger_post_holds(cx, lines, n, (struct holds){0}, how, out);
}

static int by_place(const void *a, const void *b) {
    const struct hold *x = a, *y = b;
    int c = str_cmp(x->sku, y->sku);
    return c ? c : str_cmp(x->place, y->place);
}

/* The level has too little, unless promises that have passed their expiry make way. */
static enum err hold_again(struct ctx *cx, const struct hold *h) {
    struct steps again = {.cx = cx};
    struct stock_level l;
    int64_t freed;
    bool found;
    enum err e = lapse(cx, h->sku, h->place, &freed);
    if (e)
        return e;
    if (freed)
        add_hold(&again, h->sku, h->place, h->delta - freed, (struct uuid){0});
    if (freed && ((e = steps_run(&again)) || again.v[0].changed == 1))
        return e;
    if ((e = db_get(cx, &SQL[LEVEL_AT], ARGS(A(h->sku), A(h->place), A(cx->now)), &l, &found)))
        return e;
    return insufficient(cx, h->sku, h->place, found ? l.available + freed : 0, h->delta);
}

enum err ledger_hold(struct ctx *cx, struct holds holds) {
    struct steps steps = {.cx = cx};
    if (holds.n > 1)
        qsort(holds.v, holds.n, sizeof(*holds.v), by_place);
    for (size_t i = 0; i < holds.n; i++)
        add_hold(&steps, holds.v[i].sku, holds.v[i].place, holds.v[i].delta, (struct uuid){0});
    enum err e = holds.n ? steps_run(&steps) : OK;
    for (size_t i = 0; !e && i < holds.n; i++)
        if (steps.v[i].changed == 0)
            e = hold_again(cx, &holds.v[i]);
    return e;
}

enum err ledger_lock_available(struct ctx *cx, const struct str *skus, size_t n, struct str place,
                               int64_t *available) {
    struct steps steps = {.cx = cx};
    struct stock_level *l = NEW_N(cx->mem, struct stock_level, n + 1);
    if (!l)
        return fail(cx, ERR_MEMORY, "The event has too many lines.");
    for (size_t i = 0; i < n; i++)
        steps_add(&steps, &SQL[LEVEL_AT], ARGS(A(skus[i]), A(place), A(cx->now)), &l[i]);
    enum err e = steps_run(&steps);
    for (size_t i = 0; !e && i < n; i++)
        available[i] = l[i].available;
    return e;
}

enum err ledger_post_lot(struct ctx *cx, struct move *lines, size_t n, enum posting how) {
    struct post p = {.lines = lines, .n_lines = n, .how = how, .lot = true};
    assert(n > 0);
    enum err e = send(cx, &p, (struct holds){0});
    if (!e && p.steps.v[0].changed != (int64_t)n)
        e = fail(cx, ERR_CONFLICT, "Not all of these are plain new events.");
    return e ? e : complete(cx, &p);
}

const struct module LEDGER_MODULE = {.name = "ledger", TABLE(stmts, SQL)};

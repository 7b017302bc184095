/* Lists of ShipStation, page by page. */
#include "base/json.h"
#include "core/shipment_event.h"
#include "core/shipstation.h"
#include "core/shipstation_statements.h"

#include <sodium.h>
#include <stdio.h>

#include "base/banned.h"

#define PROBES 3

/* Where a walk is. */
struct place_in_list {
    struct shipstation service; /* with status and tries of its own */
    int status;
    int64_t offset, size; /* offset is a multiple of size, for pages are counted */
    bool alive;           /* something was answered since the last page that was not */
    char before[128];     /* the record before it; empty: none */
};

struct taking {
    const struct shipstation_walk *walk;
    const struct shipstation_page *page;
};

static enum err take_page(struct ctx *cx, void *arg) {
    const struct taking *t = arg;
    const struct shipstation_parcel *p = t->page->parcels.items;
    enum err e = OK;
    for (size_t i = 0; !e && i < t->page->parcels.n; i++)
        e = shipstation_take(cx, t->walk->list, &p[i], t->walk->cause);
    return !e && t->walk->along ? t->walk->along(cx, t->page, t->walk->arg) : e;
}

/* What is asked for one by one is only asked for while the event is not known. */
static enum err complete(struct ctx *cx, const struct shipstation *service, struct shipstation_parcel *p) {
    struct delivery d = {.source = SHIPMENT_SOURCE,
                         .event_id = shipment_event_id(cx, p->ref, p->voided ? S("voided") : S("shipped"))};
    enum received known = RECEIVED;
    if (p->has_lines)
        return OK;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = inbox_known(cx, &d, &known);
    db_read_end(cx);
    p->known = known != RECEIVED;
    return e || p->known ? e : shipstation_complete(cx, service, p);
}

/* The page at the place; then the place is behind it. */
static enum err one_page(struct ctx *cx, const struct job *job, struct shipstation_walk *w,
                         struct place_in_list *at, bool *last) {
    struct shipstation_page page;
    enum err e =
        shipstation_get_page(cx, &at->service, w->list, w->url, at->offset / at->size + 1, at->size, &page);
    struct shipstation_parcel *p = page.parcels.items;
    for (size_t i = 0; !e && i < page.parcels.n; i++)
        e = complete(cx, &at->service, &p[i]);
    cx->now = clock_now(cx->clock);
    if (!e) {
        at->status = 0; /* from here on it is not the service that fails */
        e = job_write(cx, job, take_page, &(struct taking){w, &page});
    }
    if (e)
        return e;
    w->parcels += (int64_t)page.parcels.n;
    if (page.parcels.n)
        (void)snprintf(at->before, sizeof(at->before), "%.*s", STR_FMT(p[page.parcels.n - 1].ref));
    *last = page.last;
    return OK;
}

/* The largest size up to a limit whose pages begin at this place. */
static int64_t fitting(int64_t offset, int64_t limit) {
    int64_t size = limit > 1 ? limit : 1;
    while (offset % size)
        size--;
    return size;
}

struct gap {
    const struct shipstation_walk *walk;
    const struct place_in_list *at;
};

/* What is kept of a record that cannot be read: where it stands. Named by its neighbour, so that it is one
 * delivery however often it is met. */
static enum err keep_gap(struct ctx *cx, void *arg) {
    const struct gap *g = arg;
    const struct shipstation_walk *w = g->walk;
    bool v2 = shipstation_is_v2(w->list), first = true, known = *g->at->before;
    struct buf body = buf_new(cx->mem, 2048);
    struct steps steps = {.cx = cx};
    unsigned char *hash = NEW_N(cx->mem, unsigned char, 16);
    enum received received;
    buf_byte(&body, '{');
    json_put_key(&body, &first, S("resource_url"));
    json_put_string(&body, w->url);
    json_put_key(&body, &first, S("resource_type"));
    json_put_string(&body, SHIPSTATION_GAP);
    buf_byte(&body, '}');
    struct str name = str_printf(cx->mem, "%.*s %s after %.*s", STR_FMT(SHIPSTATION_GAP),
                                 SHIPSTATION_LISTS[w->list], STR_FMT(known ? str_of(g->at->before) : w->url));
    if (body.failed || !name.p || !hash)
        return fail(cx, ERR_MEMORY, "There is not enough memory.");
    crypto_generichash(hash, 16, (const unsigned char *)name.p, name.n, NULL, 0);
    struct str text = buf_str(&body);
    struct delivery d = {.source = v2 ? SHIPSTATION_V2 : SHIPSTATION_V1,
                         .event_id = name,
                         .fingerprint = {hash, 16},
                         .body = {(const unsigned char *)text.p, text.n},
                         .cause_id = w->cause};
    enum err e = inbox_put(cx, &d, &received);
    if (e || received != RECEIVED || (e = jobs_take_back(cx, d.job_id))) /* not at once again */
        return e;
    inbox_settle(&steps, d.id, S("exception"),
                 str_printf(cx->mem,
                            "ShipStation answers with status 500 for the %s after %s, so it was passed over: "
                            "page %lld with pageSize=1 of %.*s",
                            SHIPSTATION_LISTS[w->list], known ? g->at->before : "the beginning",
                            (long long)g->at->offset + 1, STR_FMT(w->url)));
    return steps_run(&steps);
}

/* Whether the service gives one of the records behind the place. */
static bool answers_behind(struct ctx *cx, const struct shipstation_walk *w, const struct place_in_list *at) {
    struct shipstation service = at->service;
    bool answers = false;
    service.tries = 1;
    for (int64_t i = 1; i <= PROBES && !answers; i++) {
        struct shipstation_page page;
        answers = shipstation_get_page(cx, &service, w->list, w->url, at->offset + i + 1, 1, &page) == OK;
        fault_clear(cx);
    }
    return answers;
}

/* After a 500 that stays: smaller pages, at last past the one record. */
static enum err narrow(struct ctx *cx, const struct job *job, struct shipstation_walk *w,
                       struct place_in_list *at) {
    if (at->size == w->size)
        at->alive = false;
    if (at->size > 1) {
        fault_clear(cx);
        at->size = fitting(at->offset, at->size / 2);
        return OK;
    }
    fault_clear(cx);
    if (w->gaps == SHIPSTATION_GAPS_MAX || !(at->alive || answers_behind(cx, w, at)))
        return fail(cx, ERR_UNAVAILABLE, "ShipStation answered with status 500.");
    w->gaps++;
    enum err e = job_write(cx, job, keep_gap, &(struct gap){w, at});
    at->offset++;
    at->size = fitting(at->offset, 2);
    at->alive = false;
    return e;
}

static enum err step(struct ctx *cx, const struct job *job, struct shipstation_walk *w,
                     struct place_in_list *at, bool *last) {
    int64_t wider = at->size * 2 < w->size ? at->size * 2 : w->size;
    /* A smaller page is part of one that was tried four times already. */
    at->service.tries = at->size == w->size ? 0 : at->size > 1 ? 1 : 2;
    enum err e = one_page(cx, job, w, at, last);
    if (e == ERR_UNAVAILABLE && at->status == 500 && !job_cancelled(job))
        return narrow(cx, job, w, at);
    if (e)
        return e;
    at->offset += at->size;
    at->size = fitting(at->offset, wider);
    at->alive = true;
    return OK;
}

enum err shipstation_walk(struct ctx *cx, const struct job *job, struct shipstation_walk *w) {
    struct ctx own = *cx;
    struct place_in_list at = {.service = *w->service, .size = w->size};
    bool last = false;
    enum err e = OK;
    at.service.status = &at.status;
    if (!(own.mem = arena_new((size_t)64 << 20)))
        return fail(cx, ERR_MEMORY, "There is not enough memory for a page.");
    for (int n = 0; !e && !last; n++, arena_reset(own.mem)) {
        if (n == SHIPSTATION_PAGES_MAX)
            e = fail(&own, ERR_UNAVAILABLE, "ShipStation's list has no end.");
        else if (job_cancelled(job))
            e = fail(&own, ERR_UNAVAILABLE, "The job was to end.");
        else
            e = step(&own, job, w, &at, &last);
    }
    if (e)
        (void)fail(cx, e, "%.*s", STR_FMT(own.fault.message));
    arena_free(own.mem);
    return e;
}

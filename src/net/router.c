#include "net/router.h"

#include "net/listing.h"
#include "net/openapi.h"
#include "net/path.h"
#include "net/peer.h"
#include "net/tree.h"

#include <sodium.h>

#include "base/banned.h"

#define ROUTER_MEMORY_MAX (64u << 20)

const char *const METHOD_NAMES[METHODS] = {"GET", "POST", "PATCH", "PUT", "DELETE"};

static enum err bad_row(struct ctx *cx, const struct route *row, const char *what) {
    const char *method = row->method < METHODS ? METHOD_NAMES[row->method] : "?";
    return fail(cx, ERR_USAGE, "The route %s %s %s.", method, row->path ? row->path : "?", what);
}

static enum err check_listing(struct ctx *cx, const struct route *row) {
    const struct listing *l = row->listing;
    if (!l || !l->row || l->n_sorts == 0)
        return bad_row(cx, row, "is a list without a listing, a row schema or a sort");
    for (size_t i = 0; i < l->n_sorts; i++) {
        const struct listing_sort *sort = &l->sorts[i];
        const struct field *key = sort->key ? schema_field(l->row, str_of(sort->key)) : NULL;
        if (!sort->st || sort->st->row != l->row)
            return bad_row(cx, row, "has a sort without a statement of the listing's rows");
        if (!key || (sort->tie && !schema_field(l->row, str_of(sort->tie))))
            return bad_row(cx, row, "has a sort whose key is not a field of its rows");
    }
    for (size_t i = 0; i < l->n_filters; i++)
        if (!l->filters[i].name || !l->filters[i].field)
            return bad_row(cx, row, "has a filter without a name or a field");
    return OK;
}

static enum err check_row(struct ctx *cx, const struct route *row) {
    if (row->method >= METHODS || !row->path || !row->handler || !row->doc)
        return bad_row(cx, row, "lacks a method, path, function or doc");
    if (row->area <= AREA_NONE || row->area >= AREAS || (row->need != NEED_READ && row->need != NEED_WRITE))
        return bad_row(cx, row, "does not say who may use it");
    if (row->mode < READ || row->mode > INSTANT)
        return bad_row(cx, row, "does not say how it touches the database");
    if (row->prepare && row->mode != WRITE)
        return bad_row(cx, row, "has what only a WRITE may have");
    if (row->flags & ROUTE_IDEMPOTENT && row->mode != WRITE && row->mode != SLOW)
        return bad_row(cx, row, "takes an Idempotency-Key and writes nothing");
    if (row->flags & ROUTE_IDEMPOTENT && row->method != POST)
        return bad_row(cx, row, "takes Idempotency-Key without being a POST");
    if (row->flags & ROUTE_WEBHOOK && (!row->head || row->mode != WRITE))
        return bad_row(cx, row, "is a webhook without head checks or a closure");
    if (row->head && !(row->flags & ROUTE_WEBHOOK))
        return bad_row(cx, row, "has head checks without being a webhook");
    return row->flags & ROUTE_LIST ? check_listing(cx, row) : OK;
}

static enum err add_row(struct ctx *cx, struct router *r, const struct route *row, struct endpoint ***last) {
    struct endpoint *ep;
    enum err e = check_row(cx, row);
    if (e || (e = tree_add(cx, r->mem, r->root, row->path, &ep)))
        return e;
    if (ep->routes[row->method])
        return bad_row(cx, row, "is there twice");
    bool fresh = true;
    for (int m = 0; m < METHODS; m++)
        fresh = fresh && !ep->routes[m];
    if (fresh) {
        **last = ep;
        *last = &ep->next;
    }
    ep->routes[row->method] = row;
    ep->labels[row->method] = str_printf(r->mem, "%s %s", METHOD_NAMES[row->method], row->path);
    return ep->labels[row->method].p ? OK
                                     : fail(cx, ERR_MEMORY, "There is not enough memory for the routes.");
}

static enum err add_rows(struct ctx *cx, struct router *r) {
    struct endpoint **last = &r->endpoints;
    for (size_t i = 0; i < r->setup.n_modules; i++) {
        const struct module *m = r->setup.modules[i];
        for (size_t k = 0; k < m->n_routes; k++) {
            enum err e = add_row(cx, r, &m->routes[k], &last);
            if (e)
                return e;
        }
    }
    return OK;
}

static enum err read_proxies(struct ctx *cx, struct router *r) {
    struct list texts = setting_list(r->setup.settings, "TRUSTED_PROXIES");
    struct network *nets = NEW_N(r->mem, struct network, texts.n + 1);
    if (!nets)
        return fail(cx, ERR_MEMORY, "There is not enough memory for the settings.");
    for (size_t i = 0; i < texts.n; i++) {
        struct str text = ((const struct str *)texts.items)[i];
        if (!network_parse(text, &nets[i]))
            return fail(cx, ERR_USAGE, "TRUSTED_PROXIES: %.*s is neither an address nor a network.",
                        STR_FMT(text));
    }
    r->trusted_proxies = (struct list){nets, texts.n};
    return OK;
}

static enum err read_settings(struct ctx *cx, struct router *r) {
    const struct settings *s = r->setup.settings;
    r->limit = limiter_new(setting_rate(s, "RATE_LIMIT"));
    r->webhook_limit = limiter_new(setting_rate(s, "WEBHOOK_RATE"));
    if (!r->limit || !r->webhook_limit)
        return fail(cx, ERR_MEMORY, "There is not enough memory for the rate limits.");
    r->cors_origins = setting_list(s, "CORS_ORIGINS");
    struct str secret = setting_text(s, "SECRET_KEY");
    struct str label = S("entrepot cursors");
    if (secret.n == 0) /* local only: cursors then end with the process */
        randombytes_buf(r->cursor_key, sizeof(r->cursor_key));
    else
        crypto_generichash(r->cursor_key, sizeof(r->cursor_key), (const unsigned char *)secret.p, secret.n,
                           (const unsigned char *)label.p, label.n);
    return read_proxies(cx, r);
}

enum err router_new(struct ctx *cx, const struct router_setup *setup, struct router **out) {
    struct router *r = calloc(1, sizeof(*r));
    if (!r || sodium_init() < 0 || !(r->mem = arena_new(ROUTER_MEMORY_MAX)) ||
        !(r->root = tree_new(r->mem))) {
        router_free(r);
        return fail(cx, ERR_MEMORY, "There is not enough memory for the routes.");
    }
    r->setup = *setup;
    r->modules = cx->modules;
    r->started = clock_steady();
    enum err e = add_rows(cx, r);
    if (e || (e = read_settings(cx, r)) || (e = documents_make(cx, r))) {
        router_free(r);
        return e;
    }
    *out = r;
    return OK;
}

void router_free(struct router *r) {
    if (!r)
        return;
    limiter_free(r->limit);
    limiter_free(r->webhook_limit);
    arena_free(r->mem);
    free(r);
}

/* The path under its present name, if it begins with an earlier one; the alias table has whole segments. */
static bool follow_alias(const struct router *r, struct arena *mem, struct str path, struct str *out) {
    for (size_t i = 0; i < r->setup.n_aliases; i++) {
        struct str from = str_of(r->setup.aliases[i].from);
        if (!str_starts(path, from) || (path.n > from.n && path.p[from.n] != '/'))
            continue;
        struct str rest = str_sub(path, from.n, path.n);
        *out = str_printf(mem, "%s%.*s", r->setup.aliases[i].to, STR_FMT(rest));
        return out->p != NULL;
    }
    return false;
}

enum err router_match(const struct router *r, struct ctx *cx, struct str path,
                      struct str params[static PATH_PARAMS_MAX], struct endpoint **out) {
    struct str segments[PATH_SEGMENTS_MAX], present;
    size_t n;
    enum err e = path_split(cx, path, segments, &n);
    if (e)
        return e;
    struct endpoint *ep = tree_find(r->root, segments, n, params);
    if (!ep && follow_alias(r, cx->mem, path, &present)) {
        if ((e = path_split(cx, present, segments, &n)))
            return e;
        ep = tree_find(r->root, segments, n, params);
    }
    if (!ep)
        return fail(cx, ERR_NOT_FOUND, "There is nothing at this path.");
    *out = ep;
    return OK;
}

struct str router_allow(const struct endpoint *ep, struct arena *mem, bool operator_too) {
    struct buf b = buf_new(mem, 256);
    for (int m = 0; m < METHODS; m++) {
        if (!ep->routes[m] || (ep->routes[m]->area == AREA_OPERATOR && !operator_too))
            continue;
        if (b.n > 0)
            buf_add(&b, S(", "));
        buf_add(&b, str_of(METHOD_NAMES[m]));
        if (m == GET)
            buf_add(&b, S(", HEAD"));
    }
    return b.n > 0 && !b.failed ? buf_str(&b) : (struct str){0};
}

enum err router_document(struct router *r, struct buf *out) {
    buf_add(out, r->document);
    return out->failed ? ERR_MEMORY : OK;
}

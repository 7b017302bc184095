/* ShipStation's V2 API: labels and fulfillments, whose items stand at what V2 calls the shipment and V1 the
 * order. */
#include "base/json.h"
#include "services/shipstation.h"

#include "base/banned.h"

#define VENDOR S("https://api.shipstation.com")

static const struct quota QUOTA = {"ShipStation V2", 200, 60 * US_PER_S};

bool shipstation_is_v2_host(struct str host) {
    return str_eq(host, S("api.shipstation.com")) || str_eq(host, S("api.shipengine.com"));
}

static enum err get(struct ctx *cx, const struct shipstation *s, struct str url, struct str *body) {
    struct header key = {S("api-key"), s->v2_key};
    struct shipstation_call call = {
        .quota = &QUOTA, .host = shipstation_is_v2_host, .headers = &key, .n_headers = 1};
    return url.p ? shipstation_get(cx, s, &call, url, body)
                 : fail(cx, ERR_MEMORY, "There is not enough memory.");
}

enum err shipstation_v2_body(struct ctx *cx, const struct shipstation *s, struct str url, int64_t page,
                             int64_t size, struct str *body) {
    static const char *const OURS[] = {"page", "page_size", NULL};
    struct buf b = buf_new(cx->mem, 2048);
    shipstation_put_url(&b, url, OURS);
    buf_printf(&b, "page=%lld&page_size=%lld", (long long)page, (long long)size);
    return get(cx, s, b.failed ? (struct str){0} : buf_str(&b), body);
}

static struct str url_of(struct ctx *cx, const struct shipstation *s, const char *path, struct str id) {
    struct str base = s->base.p ? s->base : VENDOR;
    struct buf b = buf_new(cx->mem, 2048);
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    buf_add(&b, base);
    buf_add(&b, str_of(path));
    http_put_encoded(&b, id);
    return b.failed ? (struct str){0} : buf_str(&b);
}

/* Its items are told of the whole order only: with several labels nobody can say which is in which. */
static enum err count_labels(struct ctx *cx, const struct shipstation *s, struct shipstation_parcel *p) {
    struct shipstation_page page;
    size_t live = 0;
    enum err e = shipstation_get_page(cx, s, LABEL_LIST,
                                      url_of(cx, s, "/v2/labels?shipment_id=", p->order_id), 1, 100, &page);
    const struct shipstation_parcel *l = page.parcels.items;
    for (size_t i = 0; !e && i < page.parcels.n; i++)
        live += !l[i].voided && !l[i].is_return && str_eq(l[i].order_id, p->order_id);
    if (!e && live > 1)
        p->problem = S("Its order has several labels, and V2 does not say what is in which; shipstation_sync "
                       "learns it from V1.");
    return e;
}

enum err shipstation_v2_complete(struct ctx *cx, const struct shipstation *s, struct shipstation_parcel *p) {
    struct str body;
    if (p->is_return || p->problem.p)
        return OK;
    enum err e = get(cx, s, url_of(cx, s, "/v2/shipments/", p->order_id), &body);
    if (e)
        return e;
    shipstation_read_order(cx, body, p);
    if (p->voided) /* what is taken back is known from the ledger */
        p->problem = (struct str){0};
    return p->list == LABEL_LIST && !p->voided && !p->problem.p ? count_labels(cx, s, p) : OK;
}

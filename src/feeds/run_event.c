#include "base/json.h"
#include "base/log.h"
#include "feeds/run_parts.h"

#include <inttypes.h>
#include <string.h>

#include "base/banned.h"

#define EVENT_MAX ((size_t)4 << 20)

static void put_text(struct buf *b, bool *first, const char *key, struct str value) {
    json_put_key(b, first, str_of(key));
    json_put_string(b, value);
}

static void put_counts(struct buf *b, bool *first, const struct run_bucket *k) {
    json_put_key(b, first, S("counts"));
    buf_printf(b,
               "{\"download_total\":%" PRId64 ",\"merged_rows\":%" PRId64 ",\"ingested_rows\":%" PRId64
               ",\"inserted_rows\":%" PRId64 ",\"updated_rows\":%" PRId64 ",\"unchanged_rows\":%" PRId64
               ",\"rejected_rows\":%" PRId64 ",\"duplicate_rows\":%" PRId64 ",\"skipped_rows\":%" PRId64 "}",
               k->rows_read, k->merged_rows, k->inserted_rows + k->updated_rows + k->unchanged_rows,
               k->inserted_rows, k->updated_rows, k->unchanged_rows, k->rejected_rows, k->duplicate_rows,
               k->skipped_rows);
}

static void put_extras(struct buf *b, bool *first, const struct run_event *e) {
    const struct run_store *s = e->bucket ? e->bucket->stores.items : NULL;
    bool one = true, inner = true;
    json_put_key(b, first, S("extras"));
    buf_byte(b, '{');
    json_put_key(b, &one, S("download_rows_by_store"));
    buf_byte(b, '{');
    for (size_t i = 0; s && i < e->bucket->stores.n; i++) {
        json_put_key(b, &inner, s[i].store_code);
        buf_int(b, s[i].rows_read);
    }
    buf_byte(b, '}');
    if (e->extras.text.n > 2) { /* the members of an object */
        buf_byte(b, ',');
        buf_add(b, str_sub(e->extras.text, 1, e->extras.text.n - 2));
    }
    buf_byte(b, '}');
}

static bool keep(struct running *r, struct str text) {
    if (r->n_events == r->cap_events) {
        size_t cap = r->cap_events ? r->cap_events * 2 : 32;
        struct json *v = NEW_N(r->cx->mem, struct json, cap);
        if (!v)
            return false;
        if (r->n_events)
            memcpy(v, r->events, r->n_events * sizeof(*v));
        r->events = v;
        r->cap_events = cap;
    }
    r->events[r->n_events++].text = text;
    return true;
}

void run_tell(struct running *r, const struct run_event *e) {
    static const struct run_bucket NONE = {0};
    const struct run_bucket *k = e->bucket ? e->bucket : &NONE;
    struct buf b = buf_new(r->cx->mem, EVENT_MAX);
    char at[32], id[36];
    bool first = true;
    buf_byte(&b, '{');
    put_text(&b, &first, "ts", instant_format(clock_now(r->cx->clock), at));
    put_text(&b, &first, "run_id", uuid_format(r->run.id, id));
    put_text(&b, &first, "phase", str_of(e->phase));
    put_text(&b, &first, "bucket", k->bucket);
    put_text(&b, &first, "store_code", e->store_code);
    put_text(&b, &first, "date", r->run.run_date);
    put_text(&b, &first, "merged_file", k->merged_file);
    put_counts(&b, &first, k);
    put_text(&b, &first, "status", str_of(e->status));
    put_text(&b, &first, "message", e->message.p ? e->message : S(""));
    json_put_key(&b, &first, S("duration_ms"));
    buf_int(&b, e->duration_us / US_PER_MS);
    put_extras(&b, &first, e);
    buf_byte(&b, '}');
    if (b.failed || !keep(r, buf_str(&b)))
        return;
    if (r->line)
        r->line(buf_str(&b));
    LOG(r->cx,
        strcmp(e->status, "error") == 0  ? LOG_ERROR
        : strcmp(e->status, "warn") == 0 ? LOG_WARN
                                         : LOG_INFO,
        "feeds", e->message.p ? e->message : S("feeds"), LOG_STR("phase", str_of(e->phase)),
        LOG_STR("bucket", k->bucket.p ? k->bucket : S("")), LOG_STR("run_id", uuid_format(r->run.id, id)));
}

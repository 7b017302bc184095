#include "net/idempotency.h"

#include "net/answer.h"
#include "net/path.h"
#include "net/router.h"

#include <sodium.h>

#include "base/banned.h"

#define DIGEST_BYTES 32

struct kept {
    struct bytes digest;
    int64_t status;
    struct str answer;
};
static const struct field KEPT_FIELDS[] = {
    FIELD(struct kept, digest, ROW, "BLAKE2b of the request."),
    FIELD(struct kept, status, ROW, "Status of the answer; 0 while its request runs."),
    FIELD(struct kept, answer, ROW, "The answer's body.", .max = ANSWER_MAX),
};
static const struct schema KEPT = SCHEMA(struct kept, "kept_answer", KEPT_FIELDS);

enum { CLAIM, READ_KEPT, KEEP, FORGET };
const struct stmt IDEMPOTENCY_STMTS[] = {
    [CLAIM] =
        {"idempotency.claim", TENANT,
         "INSERT INTO idempotency (org_id, route_path, idempotency_key, digest, status, answer, expires_at)"
         " VALUES ($org, $1, $2, $3, 0, '', $4)"
         " ON CONFLICT (org_id, route_path, idempotency_key) DO UPDATE"
         " SET digest = excluded.digest, status = 0, answer = '', expires_at = excluded.expires_at"
         " WHERE idempotency.expires_at <= $5",
         NULL, NULL},
    [READ_KEPT] = {"idempotency.read", TENANT,
                   "SELECT digest, status, answer FROM idempotency"
                   " WHERE org_id = $org AND route_path = $1 AND idempotency_key = $2",
                   NULL, &KEPT},
    [KEEP] = {"idempotency.keep", TENANT,
              "UPDATE idempotency SET status = $3, answer = $4"
              " WHERE org_id = $org AND route_path = $1 AND idempotency_key = $2",
              NULL, NULL},
    [FORGET] = {"idempotency.forget", TENANT,
                "DELETE FROM idempotency WHERE org_id = $org AND (route_path, idempotency_key) IN"
                " (SELECT i.route_path, i.idempotency_key FROM idempotency i"
                " WHERE i.org_id = $org AND i.expires_at <= $1 ORDER BY i.expires_at LIMIT 200)",
                NULL, NULL},
};

bool idempotency_key_valid(struct str key) {
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] >= 0x7f)
            return false;
    return key.n >= 1 && key.n <= IDEMPOTENCY_KEY_MAX;
}

/* The path is part of it: the route alone does not say which {id} was meant. With a key where the body may
 * hold a password, so that nobody who reads the table can try passwords on it. */
static void digest_request(const struct request *rq, struct bytes key,
                           unsigned char out[static DIGEST_BYTES]) {
    crypto_generichash_state state;
    uint64_t n = rq->target.n;
    crypto_generichash_init(&state, key.p, key.n, DIGEST_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)&n, sizeof(n));
    crypto_generichash_update(&state, (const unsigned char *)rq->target.p, rq->target.n);
    crypto_generichash_update(&state, (const unsigned char *)rq->body.p, rq->body.n);
    crypto_generichash_final(&state, out, DIGEST_BYTES);
}

static enum err answer_kept(struct ctx *cx, struct answer *an, struct str route, struct str key,
                            struct bytes digest) {
    struct kept kept = {0};
    bool found;
    enum err e = db_get(cx, &IDEMPOTENCY_STMTS[READ_KEPT], ARGS(A(route), A(key)), &kept, &found);
    if (e)
        return e;
    /* Status 0 cannot be seen from outside its transaction; found is false if the row was swept between the
     * two. */
    if (!found || kept.status == 0)
        return fail(cx, ERR_CONFLICT, "A request with this Idempotency-Key is under way; repeat it.");
    if (kept.digest.n != digest.n || memcmp(kept.digest.p, digest.p, digest.n) != 0)
        return fail(cx, ERR_CONFLICT, "This Idempotency-Key has been used with another request.");
    int status = kept.status == 201 ? 200 : (int)kept.status;
    return answer_text(cx, an, status, TYPE_JSON, kept.answer);
}

/* What is to be done once, and answers. */
struct deed {
    struct request *rq;
    struct answer *an;
    struct str key;
    struct bytes digest;
    enum err (*run)(struct ctx *cx, void *arg);
    void *arg;
};

static enum err do_once(struct ctx *cx, const struct deed *d) {
    struct request *rq = d->rq;
    struct answer *an = d->an;
    struct str key = d->key;
    struct bytes digest = d->digest;
    struct str route = str_of(rq->route->path);
    struct instant expires = {cx->now.us + IDEMPOTENCY_US};
    int64_t changed;
    enum err e;
    /* Expired rows are overwritten by their own key; the others go in small lots with about every 64th
     * request. */
    if ((digest.p[0] & 63) == 0 && (e = db_exec(cx, &IDEMPOTENCY_STMTS[FORGET], ARGS(A(cx->now)), NULL)))
        return e;
    e = db_exec(cx, &IDEMPOTENCY_STMTS[CLAIM], ARGS(A(route), A(key), A(digest), A(expires), A(cx->now)),
                &changed);
    if (e)
        return e;
    if (changed == 0)
        return answer_kept(cx, an, route, key, digest);
    struct uuid org = cx->actor.org;
    if ((e = d->run(cx, d->arg)))
        return e;
    cx->actor.org =
        org; /* for the administrator the handler has found another one, but the claim is under this */
    int64_t status = an->status;
    return db_tell(cx, &IDEMPOTENCY_STMTS[KEEP], ARGS(A(route), A(key), A(status), A(buf_str(&an->body))));
}

static enum err run_handler(struct ctx *cx, void *deed) {
    const struct deed *d = deed;
    return d->rq->route->handler(cx, d->rq, d->an);
}

enum err idempotency_run(struct ctx *cx, struct request *rq, struct answer *an, struct str key) {
    unsigned char raw[DIGEST_BYTES];
    struct deed d = {rq, an, key, {raw, sizeof(raw)}, run_handler, &d};
    digest_request(rq, (struct bytes){0}, raw);
    return do_once(cx, &d);
}

/* May run twice. */
static enum err run_deed(struct ctx *cx, void *deed) {
    const struct deed *d = deed;
    answer_begin(cx, d->an, d->rq->route);
    return d->key.p ? do_once(cx, d) : d->run(cx, d->arg);
}

enum err idempotency_write(struct ctx *cx, struct request *rq, struct answer *an,
                           enum err (*run)(struct ctx *cx, void *arg), void *arg) {
    unsigned char raw[DIGEST_BYTES];
    struct deed d = {.rq = rq, .an = an, .digest = {raw, sizeof(raw)}, .run = run, .arg = arg};
    d.key = request_header(rq, S("Idempotency-Key"), NULL);
    if (d.key.p)
        digest_request(rq, (struct bytes){rq->router->cursor_key, CURSOR_KEY_BYTES}, raw);
    return db_write_wait(cx, run_deed, &d);
}

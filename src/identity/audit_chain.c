#include "identity/audit_chain.h"

#include "identity/audit.h"

#include <endian.h>
#include <string.h>

#include "base/banned.h"

#define PAGE_ROWS 200
#define PAGE_ROWS_LONG 8 /* where rows are so long that a page does not fit in memory */
#define PAGE_MEMORY ((size_t)256 << 20)

static const struct field ROW_FIELDS[] = {
    FIELD(struct audit_row, seq, ROW, "Its number in the order of commits."),
    FIELD(struct audit_row, org_id, ROW, "Whose."),
    FIELD(struct audit_row, id, ROW, "Its id."),
    FIELD(struct audit_row, recorded_at, ROW, "When."),
    FIELD(struct audit_row, actor, ROW, "Who."),
    FIELD(struct audit_row, action, ROW, "What."),
    FIELD(struct audit_row, target, ROW, "To which thing."),
    FIELD(struct audit_row, before, ROW, "What it was.", .column = "before_json"),
    FIELD(struct audit_row, after, ROW, "What it became.", .column = "after_json"),
    FIELD(struct audit_row, request_id, ROW, "By which request."),
};
const struct schema AUDIT_ROW = SCHEMA(struct audit_row, "AuditRow", ROW_FIELDS);

static const struct field SEAL_FIELDS[] = {
    FIELD(struct audit_seal, batch, ROW, "Its number."),
    FIELD(struct audit_seal, first_seq, ROW, "The first number that it is about."),
    FIELD(struct audit_seal, last_seq, ROW, "The last one."),
    FIELD(struct audit_seal, row_count, ROW, "How many of these have rows."),
    FIELD(struct audit_seal, sealed_at, ROW, "When it was sealed."),
    FIELD(struct audit_seal, marks, ROW, "Number and hash of each row, short."),
    FIELD(struct audit_seal, previous, ROW, "The hash of the batch before."),
    FIELD(struct audit_seal, hash, ROW, "Its own."),
};
const struct schema AUDIT_SEAL = SCHEMA(struct audit_seal, "AuditSeal", SEAL_FIELDS);

static const struct field HEAD_FIELDS[] = {
    FIELD(struct audit_head, batch, ROW, "The last batch."),
    FIELD(struct audit_head, last_seq, ROW, "The last number sealed."),
    FIELD(struct audit_head, hash, ROW, "The hash of the last batch."),
};
const struct schema AUDIT_HEAD = SCHEMA(struct audit_head, "AuditHead", HEAD_FIELDS);

static const struct field STATE_FIELDS[] = {
    FIELD(struct audit_state, batch, ROW, "The last batch by the head."),
    FIELD(struct audit_state, last_seq, ROW, "The last number sealed."),
    FIELD(struct audit_state, hash, ROW, "The hash of the last batch."),
    FIELD(struct audit_state, newest, ROW, "The last batch that is there."),
    FIELD(struct audit_state, unsealed, ROW, "Rows that wait for the sealer."),
    FIELD(struct audit_state, unsealed_since, ROW, "When the first of them was written."),
};
const struct schema AUDIT_STATE = SCHEMA(struct audit_state, "AuditState", STATE_FIELDS);

static const struct field NUMBER_FIELDS[] = {FIELD(struct audit_number, number, ROW, "A number.")};
static const struct schema NUMBER = SCHEMA(struct audit_number, "AuditNumber", NUMBER_FIELDS);

#define XID(which) \
    "SELECT CAST(CAST(pg_snapshot_" which "(pg_current_snapshot()) AS text) AS bigint) AS number"
#define ENTRY \
    "SELECT id, recorded_at, actor, action, target, before_json, after_json, request_id FROM audit_trail"
/* A kind is the part of an action before its dot; '/' comes after the dot. */
#define FILTERED                                                                                             \
    " AND (CAST($5 AS text) IS NULL OR target = $5) AND (CAST($6 AS text) IS NULL OR actor = $6)"            \
    " AND (CAST($7 AS text) IS NULL OR action = $7)"                                                         \
    " AND (CAST($8 AS text) IS NULL OR (action >= CAST($8 AS text) || '.' AND action < CAST($8 AS text) || " \
    "'/'))"
#define NEWEST " ORDER BY recorded_at DESC, id DESC LIMIT $1 OFFSET $2"
#define NEWEST_OF_TARGET " ORDER BY recorded_at DESC, id DESC LIMIT $1 OFFSET $2"
#define TIMES_SQLITE                                                                           \
    " AND recorded_at >= COALESCE($9, 0) AND recorded_at < COALESCE($10, 9223372036854775807)" \
    " AND (recorded_at, id) < (COALESCE($3, 9223372036854775807), COALESCE($4, x''))"
#define TIMES_POSTGRES                                                               \
    " AND recorded_at >= COALESCE($9, '-infinity'::timestamptz)"                     \
    " AND recorded_at < COALESCE($10, 'infinity'::timestamptz)"                      \
    " AND (recorded_at, id) < (COALESCE($3, 'infinity'::timestamptz), COALESCE($4, " \
    "'00000000-0000-0000-0000-000000000000'::uuid))"

const struct stmt AUDIT_STMTS[AUDIT_STMTS_N] = {
    [AUDIT_ROWS] = {"audit_rows", SYSTEM,
                    "SELECT seq, org_id, id, recorded_at, actor, action, target, before_json, after_json,"
                    " request_id FROM audit_trail WHERE seq >= $1 AND seq <= $2 ORDER BY seq LIMIT $3",
                    NULL, &AUDIT_ROW},
    [AUDIT_SEALS] = {"audit_seals", SYSTEM,
                     "SELECT batch, first_seq, last_seq, row_count, sealed_at, marks, previous, hash"
                     " FROM audit_seal WHERE batch > $1 AND batch <= $2 ORDER BY batch LIMIT $3",
                     NULL, &AUDIT_SEAL},
    [AUDIT_HEAD_GET] = {"audit_head_get", SYSTEM, "SELECT batch, last_seq, hash FROM audit_head WHERE id = 1",
                        NULL, &AUDIT_HEAD},
    [AUDIT_STATE_GET] =
        {"audit_state_get", SYSTEM,
         "SELECT h.batch, h.last_seq, h.hash, COALESCE((SELECT max(s.batch) FROM audit_seal s), 0) AS newest,"
         " (SELECT count(*) FROM audit_trail t WHERE t.seq > h.last_seq) AS unsealed,"
         " (SELECT min(t.recorded_at) FROM audit_trail t WHERE t.seq > h.last_seq) AS unsealed_since"
         " FROM audit_head h WHERE h.id = 1",
         NULL, &AUDIT_STATE},
    [AUDIT_FRONTIER] = {"audit_frontier", SYSTEM, "SELECT COALESCE(max(seq), 0) AS number FROM audit_trail",
                        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS number FROM audit_number",
                        &NUMBER},
    [AUDIT_BEGUN] = {"audit_begun", SYSTEM, "SELECT 0 AS number", XID("xmax"), &NUMBER},
    [AUDIT_ENDED] = {"audit_ended", SYSTEM, "SELECT 0 AS number", XID("xmin"), &NUMBER},
    [AUDIT_LEASE_TAKE] = {"audit_lease_take", SYSTEM,
                          "UPDATE audit_lease SET holder = $1, ends_at = $3,"
                          " token = CASE WHEN holder = $1 THEN token ELSE token + 1 END"
                          " WHERE id = 1 AND (holder IS NULL OR holder = $1 OR ends_at <= $2)"
                          " RETURNING token AS number",
                          NULL, &NUMBER},
    [AUDIT_LEASE_KEEP] = {"audit_lease_keep", SYSTEM,
                          "UPDATE audit_lease SET ends_at = $3 WHERE id = 1 AND holder = $1 AND token = $2",
                          NULL, NULL},
    [AUDIT_HEAD_MOVE] = {"audit_head_move", SYSTEM,
                         "UPDATE audit_head SET batch = $1, last_seq = $2, hash = $3"
                         " WHERE id = 1 AND batch = $4 AND last_seq = $5 AND hash = $6",
                         NULL, NULL},
    [AUDIT_SEAL_INSERT] = {"audit_seal_insert", SYSTEM,
                           "INSERT INTO audit_seal (batch, first_seq, last_seq, row_count, sealed_at, marks,"
                           " previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                           NULL, NULL},
    [AUDIT_PAGE] = {"audit_page", TENANT, ENTRY " WHERE org_id = $org" TIMES_SQLITE FILTERED NEWEST,
                    ENTRY " WHERE org_id = $org" TIMES_POSTGRES FILTERED NEWEST, &AUDIT_ENTRY},
    [AUDIT_PAGE_TARGET] =
        {"audit_page_target", TENANT,
         ENTRY " INDEXED BY audit_trail_of_target WHERE org_id = $org AND target = $5" TIMES_SQLITE FILTERED
             NEWEST_OF_TARGET,
         ENTRY " WHERE org_id = $org AND target = $5" TIMES_POSTGRES FILTERED NEWEST_OF_TARGET, &AUDIT_ENTRY},
};

static void put(crypto_hash_sha256_state *h, const void *p, size_t n) {
    crypto_hash_sha256_update(h, (const unsigned char *)p, n);
}

static void put_int(crypto_hash_sha256_state *h, int64_t v) {
    uint64_t big = htobe64((uint64_t)v);
    put(h, &big, sizeof(big));
}

/* Each with its length, so that no two rows read the same; no value is not the empty text. */
static void put_text(crypto_hash_sha256_state *h, struct str s) {
    put_int(h, s.p ? (int64_t)s.n : -1);
    put(h, s.p, s.p ? s.n : 0);
}

/* All columns by the field list: one that is added to it is hashed. */
static void digest(const struct audit_row *row, unsigned char out[static AUDIT_HASH_BYTES]) {
    crypto_hash_sha256_state h;
    crypto_hash_sha256_init(&h);
    put_text(&h, S("entrepot audit row 1"));
    for (size_t i = 0; i < AUDIT_ROW.n; i++) {
        const struct field *f = &AUDIT_ROW.fields[i];
        const void *v = (const char *)row + f->offset;
        if (f->offset == offsetof(struct audit_row, seq))
            continue;
        if (f->kind == KIND_STR)
            put_text(&h, *(const struct str *)v);
        else if (f->kind == KIND_UUID)
            put(&h, ((const struct uuid *)v)->b, sizeof(((const struct uuid *)v)->b));
        else
            put_int(&h, ((const struct instant *)v)->us);
    }
    crypto_hash_sha256_final(&h, out);
}

void audit_batch_begin(struct audit_batch *b, int64_t number, struct bytes previous, int64_t first_seq) {
    b->rows = 0;
    crypto_hash_sha256_init(&b->state);
    put_text(&b->state, S("entrepot audit batch 1"));
    put_int(&b->state, number);
    put_text(&b->state, (struct str){(const char *)previous.p, previous.n});
    put_int(&b->state, first_seq);
}

void audit_batch_add(struct audit_batch *b, const struct audit_row *row,
                     unsigned char mark[static AUDIT_MARK_BYTES]) {
    unsigned char hash[AUDIT_HASH_BYTES];
    uint64_t big = htobe64((uint64_t)row->seq);
    digest(row, hash);
    put_int(&b->state, row->seq);
    put(&b->state, hash, sizeof(hash));
    memcpy(mark, &big, sizeof(big));
    memcpy(mark + sizeof(big), hash, AUDIT_MARK_BYTES - sizeof(big));
    b->rows++;
}

void audit_batch_end(struct audit_batch *b, int64_t last_seq, struct instant sealed_at,
                     unsigned char hash[static AUDIT_HASH_BYTES]) {
    put_int(&b->state, last_seq);
    put_int(&b->state, b->rows);
    put_int(&b->state, sealed_at.us);
    crypto_hash_sha256_final(&b->state, hash);
}

int64_t audit_mark_seq(const unsigned char mark[static AUDIT_MARK_BYTES]) {
    uint64_t big;
    memcpy(&big, mark, sizeof(big));
    return (int64_t)be64toh(big);
}

static enum err read_page(struct ctx *cx, struct args args, struct list *rows) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_list(cx, &AUDIT_STMTS[AUDIT_ROWS], args, rows);
    db_read_end(cx);
    return e;
}

static void drop_arena(struct arena **a) { arena_free(*a); }

enum err audit_rows(struct ctx *cx, int64_t from, int64_t to, int64_t most, audit_row_fn *each, void *arg,
                    int64_t *reached) {
    struct arena *mem __attribute__((cleanup(drop_arena))) = arena_new(PAGE_MEMORY);
    if (!mem)
        return fail(cx, ERR_MEMORY, "There is no memory to read the audit trail.");
    for (int64_t page = PAGE_ROWS;;) {
        struct ctx own = *cx;
        struct list rows;
        int64_t limit = most < page ? most : page;
        arena_reset(mem);
        own.mem = mem;
        own.fault = (struct fault){0};
        enum err e = read_page(&own, ARGS(A(from), A(to), A(limit)), &rows);
        if (e == ERR_MEMORY && limit > PAGE_ROWS_LONG) {
            page = PAGE_ROWS_LONG;
            continue;
        }
        if (e)
            return fail_cause(cx, e, "%.*s",
                              STR_FMT(own.fault.cause.p ? own.fault.cause : own.fault.message));
        const struct audit_row *row = rows.items;
        for (size_t i = 0; i < rows.n; i++)
            if ((e = each(arg, &row[i])))
                return e;
        most -= (int64_t)rows.n;
        bool last = (int64_t)rows.n < limit;
        *reached = last ? to : row[rows.n - 1].seq;
        if (last || most == 0 || *reached == to)
            return OK;
        from = *reached + 1;
    }
}

enum err audit_number(struct ctx *cx, enum audit_stmt which, int64_t *out) {
    struct audit_number n = {0};
    bool found;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_get(cx, &AUDIT_STMTS[which], ARGS(), &n, &found);
    db_read_end(cx);
    *out = n.number;
    return e;
}

#include "identity/audit_verify.h"

#include "identity/audit_chain.h"

#include <inttypes.h>
#include <string.h>

#include "base/banned.h"

#define SEALS_PAGE 16 /* their marks are up to 64 KiB each */
#define SEALS_MEMORY ((size_t)64 << 20)

static const struct field FINDING_FIELDS[] = {
    FIELD(struct audit_finding, batch, OUT, "The batch that it is in."),
    FIELD(struct audit_finding, row, OUT, "The row's number (audit_trail.seq), where it is about one."),
    FIELD(struct audit_finding, organisation, OUT, "Whose row, by what it says now."),
    FIELD(struct audit_finding, recorded_at, OUT, "When it was written, by what it says now."),
    FIELD(struct audit_finding, actor, OUT, "Who, by what it says now."),
    FIELD(struct audit_finding, action, OUT, "What, by what it says now."),
    FIELD(struct audit_finding, target, OUT, "Which thing, by what it says now."),
    FIELD(struct audit_finding, problem, OUT, "What does not fit."),
};
static const struct schema FINDING = SCHEMA(struct audit_finding, "AuditFinding", FINDING_FIELDS);

static const struct field REPORT_FIELDS[] = {
    FIELD(struct audit_report, batches, OUT, "How many batches were followed."),
    FIELD(struct audit_report, rows, OUT, "How many sealed rows were hashed again."),
    FIELD(struct audit_report, head, OUT, "The hash of the last batch; keep it elsewhere."),
    FIELD(struct audit_report, sealed_at, OUT, "When the last batch was sealed."),
    FIELD(struct audit_report, unsealed, OUT, "Rows that are not sealed yet: nothing is known about them."),
    FIELD(struct audit_report, unsealed_since, OUT, "When the first of them was written."),
    FIELD(struct audit_report, findings, OUT, "What does not fit; empty when all is well.", .of = &FINDING),
};
const struct schema AUDIT_REPORT = SCHEMA(struct audit_report, "AuditVerification", REPORT_FIELDS);

/* The chain as far as it has been followed. */
struct following {
    struct ctx *cx;
    struct audit_report *report;
    struct audit_finding *findings;
    struct bytes anchor;
    bool anchored;
    int64_t batch, last_seq;                  /* of the batch before */
    unsigned char stored[AUDIT_HASH_BYTES];   /* its hash as it stands there */
    unsigned char computed[AUDIT_HASH_BYTES]; /* and as it comes out */
    bool known;                               /* there is a batch before, or this is the first */
    /* The batch at hand: */
    const struct audit_seal *seal;
    struct audit_batch sum;
    size_t mark, marks;
};

static struct audit_finding *add(struct following *f, int64_t batch, const char *problem) {
    static struct audit_finding spill; /* beyond the limit: counted by nobody, the limit says enough */
    size_t n = f->report->findings.n;
    struct audit_finding *x = n < AUDIT_FINDINGS_MAX ? &f->findings[n] : &spill;
    *x = (struct audit_finding){.batch = batch, .problem = str_of(problem)};
    f->report->findings.n += n < AUDIT_FINDINGS_MAX;
    return x;
}

static void add_number(struct following *f, int64_t row, const char *problem) {
    add(f, f->seal->batch, problem)->row = (struct optional_int){row, true};
}

static void add_row(struct following *f, const struct audit_row *row, struct str problem) {
    struct arena *mem = f->cx->mem;
    struct audit_finding *x = add(f, f->seal->batch, "");
    x->row = (struct optional_int){row->seq, true};
    x->organisation = row->org_id;
    x->recorded_at = row->recorded_at;
    x->actor = str_dup(mem, row->actor);
    x->action = str_dup(mem, row->action);
    x->target = str_dup(mem, row->target);
    x->problem = problem;
}

static const unsigned char *mark_at(const struct following *f, size_t i) {
    return f->seal->marks.p + i * AUDIT_MARK_BYTES;
}

/* A row whose hash is not that of its number: is it the content of another? */
static void changed(struct following *f, const struct audit_row *row, const unsigned char *mark) {
    for (size_t i = 0; i < f->marks; i++)
        if (memcmp(mark_at(f, i) + 8, mark + 8, AUDIT_MARK_BYTES - 8) == 0) {
            struct str problem =
                str_printf(f->cx->mem, "the row stands in another's place: it was row %" PRId64,
                           audit_mark_seq(mark_at(f, i)));
            add_row(f, row, problem);
            return;
        }
    add_row(f, row, S("the row was changed"));
}

static enum err check_row(void *arg, const struct audit_row *row) {
    struct following *f = arg;
    unsigned char mark[AUDIT_MARK_BYTES];
    audit_batch_add(&f->sum, row, mark);
    for (; f->mark < f->marks && audit_mark_seq(mark_at(f, f->mark)) < row->seq; f->mark++)
        add_number(f, audit_mark_seq(mark_at(f, f->mark)), "the row is missing");
    if (f->mark == f->marks || audit_mark_seq(mark_at(f, f->mark)) != row->seq)
        add_row(f, row, S("the row was added after the batch was sealed"));
    else if (memcmp(mark_at(f, f->mark++), mark, AUDIT_MARK_BYTES) != 0)
        changed(f, row, mark);
    return OK;
}

/* The rows against the marks; whether they come out as the stored hash decides which of the two was changed.
 */
static enum err check_rows(struct following *f, int64_t from) {
    const struct audit_seal *s = f->seal;
    int64_t reached;
    size_t before = f->report->findings.n;
    audit_batch_begin(&f->sum, s->batch, s->previous, s->first_seq);
    f->mark = 0;
    f->marks = s->marks.n / AUDIT_MARK_BYTES;
    enum err e =
        from > s->last_seq ? OK : audit_rows(f->cx, from, s->last_seq, INT64_MAX, check_row, f, &reached);
    if (e)
        return e;
    for (; f->mark < f->marks; f->mark++)
        add_number(f, audit_mark_seq(mark_at(f, f->mark)), "the row is missing");
    f->report->rows += f->sum.rows;
    bool counted = f->sum.rows == s->row_count, whole = s->marks.n % AUDIT_MARK_BYTES == 0;
    audit_batch_end(&f->sum, s->last_seq, s->sealed_at, f->computed);
    if (s->hash.n == AUDIT_HASH_BYTES && memcmp(f->computed, s->hash.p, AUDIT_HASH_BYTES) == 0) {
        bool marks = f->report->findings.n > before || !whole;
        f->report->findings.n = before;
        if (marks || !counted)
            add(f, s->batch,
                marks ? "the batch's marks were changed; its rows are what was sealed"
                      : "the batch's count was changed; its rows are what was sealed");
    } else if (f->report->findings.n == before) {
        add(f, s->batch, "the batch's own record was changed: a number, its time, its link or its hash");
    }
    return OK;
}

static bool same(struct bytes b, const unsigned char *hash) {
    return b.n == AUDIT_HASH_BYTES && memcmp(b.p, hash, AUDIT_HASH_BYTES) == 0;
}

static enum err follow(struct following *f, const struct audit_seal *s) {
    f->seal = s;
    for (int64_t n = f->batch + 1; n < s->batch; n++) {
        add(f, n,
            n + 100 < s->batch ? "this batch and those up to the next one there are missing"
                               : "the batch is missing");
        f->known = false;
        if (n + 100 < s->batch)
            break;
    }
    if (f->known && !same(s->previous, f->stored) && !same(s->previous, f->computed))
        add(f, s->batch, "the batch does not follow the one before it");
    if (f->known && s->first_seq != f->last_seq + 1)
        add(f, s->batch, "the batch does not begin where the one before it ends");
    /* What is below the first batch, or between it and the one before, is in none, so it belongs here. */
    int64_t from = f->known ? (f->batch ? f->last_seq + 1 : INT64_MIN) : s->first_seq;
    enum err e = check_rows(f, from);
    if (e)
        return e;
    f->batch = s->batch;
    f->last_seq = s->last_seq;
    f->known = s->hash.n == AUDIT_HASH_BYTES;
    if (f->known)
        memcpy(f->stored, s->hash.p, AUDIT_HASH_BYTES);
    f->anchored = f->anchored || (f->anchor.n == s->hash.n && memcmp(f->anchor.p, s->hash.p, s->hash.n) == 0);
    f->report->batches++;
    f->report->sealed_at = s->sealed_at;
    return OK;
}

static enum err read_seals(struct ctx *cx, int64_t after, int64_t upto, struct list *out) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_list(cx, &AUDIT_STMTS[AUDIT_SEALS], ARGS(A(after), A(upto), A(SEALS_PAGE)), out);
    db_read_end(cx);
    return e;
}

static void drop_arena(struct arena **a) { arena_free(*a); }

static enum err follow_all(struct following *f, int64_t upto) {
    struct arena *mem __attribute__((cleanup(drop_arena))) = arena_new(SEALS_MEMORY);
    if (!mem)
        return fail(f->cx, ERR_MEMORY, "There is no memory to follow the audit trail.");
    for (int64_t after = INT64_MIN;;) {
        struct ctx own = *f->cx;
        struct list seals;
        arena_reset(mem);
        own.mem = mem;
        own.fault = (struct fault){0};
        enum err e = read_seals(&own, after, upto, &seals);
        if (e)
            return fail_cause(f->cx, e, "%.*s",
                              STR_FMT(own.fault.cause.p ? own.fault.cause : own.fault.message));
        const struct audit_seal *s = seals.items;
        for (size_t i = 0; i < seals.n; i++)
            if ((e = follow(f, &s[i])))
                return e;
        if (seals.n < SEALS_PAGE)
            return OK;
        after = s[seals.n - 1].batch;
    }
}

/* The head says how far the sealer had come: what it names and is not there was cut off. */
static void check_head(struct following *f, const struct audit_state *head) {
    if (head->batch > f->batch)
        add(f, f->batch + 1,
            f->batch + 1 == head->batch ? "the last batch is missing"
                                        : "this batch and those after it are missing");
    else if (head->batch < f->batch)
        add(f, head->batch + 1, "the batch is beyond the head: the head was changed, or the batch was added");
    else if ((f->batch && !same(head->hash, f->stored)) || head->last_seq != f->last_seq)
        add(f, f->batch, "the head (audit_head) is not that of the last batch");
}

static enum err read_state(struct ctx *cx, struct audit_state *out, bool *found) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_get(cx, &AUDIT_STMTS[AUDIT_STATE_GET], ARGS(), out, found);
    db_read_end(cx);
    return e;
}

enum err audit_verify(struct ctx *cx, struct bytes anchor, struct audit_report *out) {
    struct audit_state state = {0};
    struct following f = {.cx = cx, .report = out, .anchor = anchor, .known = true};
    bool found = false;
    *out = (struct audit_report){0};
    f.findings = NEW_N(cx->mem, struct audit_finding, AUDIT_FINDINGS_MAX);
    if (!f.findings)
        return fail(cx, ERR_MEMORY, "There is no memory to follow the audit trail.");
    out->findings.items = f.findings;
    enum err e = read_state(cx, &state, &found);
    if (e || (e = follow_all(&f, found ? state.newest : INT64_MAX)))
        return e;
    if (found)
        check_head(&f, &state);
    else
        add(&f, f.batch, "the head (audit_head) is missing");
    if (anchor.p && !f.anchored)
        add(&f, f.batch,
            "the head that was kept elsewhere is not in the chain: what was sealed by then was cut off or "
            "made"
            " anew");
    out->head = hex_encode(cx->mem, (struct bytes){f.stored, AUDIT_HASH_BYTES});
    out->unsealed = state.unsealed;
    out->unsealed_since = state.unsealed_since;
    return OK;
}

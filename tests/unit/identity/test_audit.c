/* X7: whatever is changed in the audit trail or in its chain, by whoever has the database, is found and
 * located. SEED repeats what is left to chance. */
#include "identity_db.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/audit.h"
#include "identity/audit_chain.h"
#include "identity/audit_seal.h"
#include "identity/audit_verify.h"

#define BATCHES 6
#define ROWS_A_BATCH 9
#define ROUNDS 6 /* for each column */

static struct world W;
static uint64_t random_state;

static uint64_t chance(uint64_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

#define TRAIL "seq, org_id, id, recorded_at, actor, action, target, before_json, after_json, request_id"
enum {
    SET_ROW,
    SET_SEAL,
    SET_HEAD,
    DROP_ROWS,
    DROP_SEALS,
    ADD_ROW,
    ADD_SEAL,
    FREE_TRAIL,
    FREE_TRAIL_2,
    FREE_SEAL,
    FREE_SEAL_2,
    ASK
};
static const struct stmt SQL[] = {
    [SET_ROW] = {"test_set_row", SYSTEM,
                 "UPDATE audit_trail SET seq = $1, org_id = $2, id = $3, recorded_at = $4, actor = $5,"
                 " action = $6, target = $7, before_json = $8, after_json = $9, request_id = $10"
                 " WHERE seq = $11",
                 NULL, NULL},
    [SET_SEAL] = {"test_set_seal", SYSTEM,
                  "UPDATE audit_seal SET batch = $1, first_seq = $2, last_seq = $3, row_count = $4,"
                  " sealed_at = $5, marks = $6, previous = $7, hash = $8 WHERE batch = $9",
                  NULL, NULL},
    [SET_HEAD] = {"test_set_head", SYSTEM,
                  "UPDATE audit_head SET batch = $1, last_seq = $2, hash = $3 WHERE id = $4", NULL, NULL},
    [DROP_ROWS] = {"test_drop_rows", SYSTEM, "DELETE FROM audit_trail WHERE seq >= $1 AND seq <= $2", NULL,
                   NULL},
    [DROP_SEALS] = {"test_drop_seals", SYSTEM, "DELETE FROM audit_seal WHERE batch >= $1 AND batch <= $2",
                    NULL, NULL},
    [ADD_ROW] = {"test_add_row", SYSTEM,
                 "INSERT INTO audit_trail (" TRAIL ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", NULL,
                 NULL},
    [ADD_SEAL] = {"test_add_seal", SYSTEM,
                  "INSERT INTO audit_seal (batch, first_seq, last_seq, row_count, sealed_at, marks, previous,"
                  " hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                  NULL, NULL},
    [FREE_TRAIL] = {"test_free_trail", SYSTEM, "DROP TRIGGER audit_trail_kept",
                    "DROP TRIGGER audit_trail_kept ON audit_trail", NULL},
    [FREE_TRAIL_2] = {"test_free_trail_2", SYSTEM, "DROP TRIGGER audit_trail_whole", "SELECT 1", NULL},
    [FREE_SEAL] = {"test_free_seal", SYSTEM, "DROP TRIGGER audit_seal_kept",
                   "DROP TRIGGER audit_seal_kept ON audit_seal", NULL},
    [FREE_SEAL_2] = {"test_free_seal_2", SYSTEM, "DROP TRIGGER audit_seal_whole", "SELECT 1", NULL},
    [ASK] = {"test_ask", SYSTEM, "SELECT 1", NULL, NULL},
};

struct change {
    int statement;
    struct args args;
};

static enum err run_change(struct ctx *cx, void *arg) {
    const struct change *c = arg;
    return db_exec(cx, &SQL[c->statement], c->args, NULL);
}

static enum err attempt(int statement, struct args args) {
    struct change c = {statement, args};
    fault_clear(&W.cx);
    return db_write_wait(&W.cx, run_change, &c);
}

static void must(enum err e) {
    if (e)
        fail_msg("%.*s %.*s", STR_FMT(W.cx.fault.message), STR_FMT(W.cx.fault.cause));
}

static void act(int statement, struct args args) { must(attempt(statement, args)); }

static enum err run_rows(struct ctx *cx, void *arg) {
    enum err e = OK;
    for (size_t i = 0; !e && i < *(const size_t *)arg; i++) {
        struct organisation was = {.name = S("Was"), .created_at = {1}}, is = {.name = S("Is")};
        cx->request_id = i % 3 ? S("request-1") : (struct str){0};
        e = audit_change(cx, S("thing.change"), S("T-1"), &ORGANISATION, i % 2 ? &was : NULL, &is);
    }
    return e;
}

static void seal(int64_t rows) {
    struct audit_sealed done;
    fault_clear(&W.cx);
    must(audit_seal_all(&W.cx, &done));
    assert_int_equal(done.rows, rows);
}

static struct audit_report verified(struct bytes anchor) {
    struct audit_report r;
    fault_clear(&W.cx);
    must(audit_verify(&W.cx, anchor, &r));
    return r;
}

static void clean(void) {
    struct audit_report r = verified((struct bytes){0});
    const struct audit_finding *f = r.findings.items;
    if (r.findings.n)
        fail_msg("batch %d row %d: %.*s", (int)f->batch, (int)f->row.v, STR_FMT(f->problem));
    assert_int_equal(r.unsealed, 0);
}

static int begin(void **state) {
    (void)state;
    world_open(&W);
    struct uuid org;
    size_t n = ROWS_A_BATCH;
    world_organisation(&W, "Audited", &org); /* a row of its own */
    world_act(&W, org, uuid_new(W.cx.now), "owner@audited.example", ROLE_OWNER);
    for (int i = 0; i < BATCHES; i++) {
        must(db_write_wait(&W.cx, run_rows, &n));
        seal((int64_t)n + (i == 0));
    }
    clean();
    return 0;
}

static int end(void **state) {
    (void)state;
    world_close(&W);
    return 0;
}

static void unlock(void) {
    for (int s = FREE_TRAIL; s <= FREE_SEAL_2; s++)
        act(s, ARGS());
}

static struct list all(enum audit_stmt which) {
    struct list rows;
    int64_t least = INT64_MIN, most = INT64_MAX, limit = 1000;
    must(db_read_begin(&W.cx));
    must(db_list(&W.cx, &AUDIT_STMTS[which],
                 which == AUDIT_HEAD_GET ? ARGS() : ARGS(A(least), A(most), A(limit)), &rows));
    db_read_end(&W.cx);
    return rows;
}

static struct str mutated_text(struct str s) {
    char *copy = (char *)(uintptr_t)str_dup(W.cx.mem, s).p;
    if (!s.p || s.n == 0)
        return s.p && chance(2) ? S("x") : s.p ? S("~") : S("");
    switch (chance(3)) {
    case 0:
        return (struct str){copy, s.n - 1};
    case 1:
        return str_printf(W.cx.mem, "%.*s ", STR_FMT(s));
    default:
        copy[chance(s.n)] = '~'; /* in none of the texts */
        return (struct str){copy, s.n};
    }
}

static struct bytes mutated_bytes(struct bytes b) {
    struct str copy = str_dup(W.cx.mem, (struct str){(const char *)b.p, b.n});
    unsigned char *p = (unsigned char *)(uintptr_t)copy.p;
    p[chance(b.n)] ^= (unsigned char)(1u << chance(8));
    return (struct bytes){p, chance(4) ? b.n : b.n - 1};
}

/* Another value of the same kind. */
static void mutate(const struct field *f, void *v) {
    switch (f->kind) {
    case KIND_INT:
        *(int64_t *)v ^= INT64_C(1) << (8 + chance(20));
        return;
    case KIND_INSTANT:
        ((struct instant *)v)->us ^= INT64_C(1) << chance(30);
        return;
    case KIND_UUID:
        ((struct uuid *)v)->b[chance(16)] ^= (uint8_t)(1u << chance(8));
        return;
    case KIND_STR:
        *(struct str *)v = mutated_text(*(const struct str *)v);
        return;
    case KIND_BYTES:
        *(struct bytes *)v = mutated_bytes(*(const struct bytes *)v);
        return;
    default:
        fail_msg("no test for the kind of %s", f->name);
    }
}

static bool located(const struct audit_report *r, int64_t batch, int64_t row) {
    const struct audit_finding *f = r->findings.items;
    for (size_t i = 0; i < r->findings.n; i++)
        if ((!batch || f[i].batch == batch) && (!row || (f[i].row.has && f[i].row.v == row)))
            return true;
    return false;
}

static void a_change_of_any_column_of_a_row_is_located(void **state) {
    (void)state;
    unlock();
    struct list rows = all(AUDIT_ROWS);
    for (size_t c = 0; c < AUDIT_ROW.n; c++)
        for (int round = 0; round < ROUNDS; round++) {
            const struct audit_row *was = (const struct audit_row *)rows.items + chance(rows.n);
            struct audit_row is = *was;
            const struct field *f = &AUDIT_ROW.fields[c];
            mutate(f, (char *)&is + f->offset);
            act(SET_ROW, args_of(&W.cx, &AUDIT_ROW, &is, ARGS(A(was->seq))));
            struct audit_report r = verified((struct bytes){0});
            if (!located(&r, 0, was->seq))
                fail_msg("%s of row %d: not located", f->name, (int)was->seq);
            act(SET_ROW, args_of(&W.cx, &AUDIT_ROW, was, ARGS(A(is.seq))));
        }
    clean();
}

static void a_change_of_any_column_of_the_chain_is_located(void **state) {
    (void)state;
    unlock();
    struct list seals = all(AUDIT_SEALS);
    for (size_t c = 0; c < AUDIT_SEAL.n; c++)
        for (int round = 0; round < ROUNDS; round++) {
            const struct audit_seal *was = (const struct audit_seal *)seals.items + chance(seals.n);
            struct audit_seal is = *was;
            const struct field *f = &AUDIT_SEAL.fields[c];
            mutate(f, (char *)&is + f->offset);
            act(SET_SEAL, args_of(&W.cx, &AUDIT_SEAL, &is, ARGS(A(was->batch))));
            struct audit_report r = verified((struct bytes){0});
            if (!located(&r, was->batch, 0))
                fail_msg("%s of batch %d: not located", f->name, (int)was->batch);
            act(SET_SEAL, args_of(&W.cx, &AUDIT_SEAL, was, ARGS(A(is.batch))));
        }
    const struct audit_head *head = all(AUDIT_HEAD_GET).items;
    int64_t one = 1;
    for (size_t c = 0; c < AUDIT_HEAD.n; c++) {
        struct audit_head is = *head;
        mutate(&AUDIT_HEAD.fields[c], (char *)&is + AUDIT_HEAD.fields[c].offset);
        act(SET_HEAD, args_of(&W.cx, &AUDIT_HEAD, &is, ARGS(A(one))));
        assert_true(verified((struct bytes){0}).findings.n > 0);
        act(SET_HEAD, args_of(&W.cx, &AUDIT_HEAD, head, ARGS(A(one))));
    }
    clean();
}

static void rows_taken_out_put_in_and_exchanged_are_located(void **state) {
    (void)state;
    unlock();
    struct list rows = all(AUDIT_ROWS);
    const struct audit_row *v = rows.items;
    for (int round = 0; round < 2 * ROUNDS; round++) {
        const struct audit_row *a = &v[chance(rows.n)], *b = &v[chance(rows.n)];
        act(DROP_ROWS, ARGS(A(a->seq), A(a->seq)));
        struct audit_report r = verified((struct bytes){0});
        assert_true(located(&r, 0, a->seq) && r.findings.n == 1);
        act(ADD_ROW, args_of(&W.cx, &AUDIT_ROW, a, ARGS()));
        if (a == b)
            continue;
        struct audit_row swapped[2] = {*a, *b};
        swapped[0].seq = b->seq;
        swapped[1].seq = a->seq;
        act(DROP_ROWS, ARGS(A(b->seq), A(b->seq)));
        act(SET_ROW, args_of(&W.cx, &AUDIT_ROW, &swapped[0], ARGS(A(a->seq))));
        act(ADD_ROW, args_of(&W.cx, &AUDIT_ROW, &swapped[1], ARGS()));
        r = verified((struct bytes){0});
        assert_true(located(&r, 0, a->seq) && located(&r, 0, b->seq) && r.findings.n == 2);
        act(DROP_ROWS, ARGS(A(b->seq), A(b->seq)));
        act(SET_ROW, args_of(&W.cx, &AUDIT_ROW, b, ARGS(A(a->seq))));
        act(ADD_ROW, args_of(&W.cx, &AUDIT_ROW, a, ARGS()));
    }
    struct audit_row added = v[3];
    for (int64_t seq = 0; seq > -3; seq--) {
        added.seq = seq;
        act(ADD_ROW, args_of(&W.cx, &AUDIT_ROW, &added, ARGS()));
        struct audit_report r = verified((struct bytes){0});
        assert_true(r.findings.n == 1 && located(&r, 1, 0));
        act(DROP_ROWS, ARGS(A(seq), A(seq)));
    }
    clean();
}

static void batches_cut_out_are_located(void **state) {
    (void)state;
    unlock();
    struct list seals = all(AUDIT_SEALS);
    const struct audit_seal *s = seals.items;
    struct bytes anchor = s[BATCHES - 1].hash;
    assert_int_equal(verified(anchor).findings.n, 0);
    /* a record alone; its rows are still there */
    act(DROP_SEALS, ARGS(A(s[1].batch), A(s[1].batch)));
    struct audit_report r = verified((struct bytes){0});
    assert_true(located(&r, s[1].batch, 0));
    act(ADD_SEAL, args_of(&W.cx, &AUDIT_SEAL, &s[1], ARGS()));
    clean();
    /* the middle with its rows, then the tail with its rows */
    act(DROP_SEALS, ARGS(A(s[2].batch), A(s[3].batch)));
    act(DROP_ROWS, ARGS(A(s[2].first_seq), A(s[3].last_seq)));
    r = verified((struct bytes){0});
    assert_true(located(&r, s[2].batch, 0) && located(&r, s[3].batch, 0));
    act(DROP_SEALS, ARGS(A(s[5].batch), A(s[5].batch)));
    act(DROP_ROWS, ARGS(A(s[5].first_seq), A(s[5].last_seq)));
    r = verified((struct bytes){0});
    assert_true(located(&r, s[5].batch, 0));
}

static void a_tail_cut_off_with_its_head_is_found_by_the_anchor(void **state) {
    (void)state;
    unlock();
    const struct audit_seal *s = all(AUDIT_SEALS).items;
    const struct audit_seal *last = &s[BATCHES - 1], *before = &s[BATCHES - 2];
    struct audit_head head = {before->batch, before->last_seq, before->hash};
    int64_t one = 1;
    act(DROP_SEALS, ARGS(A(last->batch), A(last->batch)));
    act(DROP_ROWS, ARGS(A(last->first_seq), A(last->last_seq)));
    act(SET_HEAD, args_of(&W.cx, &AUDIT_HEAD, &head, ARGS(A(one))));
    clean(); /* by itself it cannot be told */
    assert_int_equal(verified(last->hash).findings.n, 1);
    assert_int_equal(verified(before->hash).findings.n, 0);
}

static void rows_and_seals_are_append_only(void **state) {
    (void)state;
    const struct audit_row *row = all(AUDIT_ROWS).items;
    const struct audit_seal *s = all(AUDIT_SEALS).items;
    assert_int_not_equal(attempt(SET_ROW, args_of(&W.cx, &AUDIT_ROW, row, ARGS(A(row->seq)))), OK);
    assert_int_not_equal(attempt(DROP_ROWS, ARGS(A(row->seq), A(row->seq))), OK);
    assert_int_not_equal(attempt(SET_SEAL, args_of(&W.cx, &AUDIT_SEAL, s, ARGS(A(s->batch)))), OK);
    assert_int_not_equal(attempt(DROP_SEALS, ARGS(A(s->batch), A(s->batch))), OK);
    clean();
}

static void the_tail_that_is_not_sealed_is_told(void **state) {
    (void)state;
    size_t n = 5;
    must(db_write_wait(&W.cx, run_rows, &n));
    struct audit_report r = verified((struct bytes){0});
    assert_int_equal(r.unsealed, 5);
    assert_int_equal(r.unsealed_since.us, W.cx.now.us);
    assert_int_equal(r.findings.n, 0);
    seal(5);
    seal(0);
}

#define SEALERS 4
#define WRITES 40
struct sealing_thread {
    struct ctx cx;
    pthread_t thread;
    int64_t rows;
};

static void *seal_many(void *arg) {
    struct sealing_thread *t = arg;
    struct ctx *cx = &t->cx;
    cx->mem = arena_new(64 << 20);
    for (int i = 0; i < WRITES && t->rows >= 0; i++) {
        struct audit_sealed done;
        arena_reset(cx->mem);
        fault_clear(cx);
        cx->now = clock_now(W.clock);
        t->rows = audit_seal_all(cx, &done) ? INT64_MIN : t->rows + done.rows;
    }
    arena_free(cx->mem);
    return NULL;
}

static void sealers_at_once_seal_each_row_once(void **state) {
    (void)state;
    struct sealing_thread threads[SEALERS];
    int64_t sum = 0;
    for (int i = 0; i < SEALERS; i++) {
        threads[i] = (struct sealing_thread){.cx = W.cx};
        assert_int_equal(pthread_create(&threads[i].thread, NULL, seal_many, &threads[i]), 0);
    }
    struct ctx cx = W.cx;
    size_t n = 7;
    for (int i = 0; i < WRITES; i++)
        must(db_write_wait(&cx, run_rows, &n));
    for (int i = 0; i < SEALERS; i++) {
        pthread_join(threads[i].thread, NULL);
        assert_true(threads[i].rows >= 0);
        sum += threads[i].rows;
    }
    struct audit_report r = verified((struct bytes){0});
    assert_int_equal(r.findings.n, 0);
    assert_int_equal(sum + r.unsealed, WRITES * 7);
    assert_int_equal(r.rows + r.unsealed, BATCHES * ROWS_A_BATCH + 1 + WRITES * 7);
}

/* PostgreSQL: a transaction that has a number, and commits after others with higher ones have been sealed. */
struct late {
    struct db *db;
    struct ctx cx;
    struct write write;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    bool written, free, done;
};

static enum err run_late(struct ctx *cx, void *arg) {
    struct late *l = arg;
    size_t one = 1;
    enum err e = run_rows(cx, &one);
    if (!e) /* what was only told has reached the server when something has been answered */
        e = db_exec(cx, &SQL[ASK], ARGS(), NULL);
    pthread_mutex_lock(&l->lock);
    l->written = true;
    pthread_cond_broadcast(&l->turn);
    while (!l->free)
        pthread_cond_wait(&l->turn, &l->lock);
    pthread_mutex_unlock(&l->lock);
    return e;
}

static void late_done(struct write *w, enum err outcome) {
    struct late *l = w->arg;
    pthread_mutex_lock(&l->lock);
    l->done = outcome == OK;
    pthread_cond_broadcast(&l->turn);
    pthread_mutex_unlock(&l->lock);
}

static void nothing_slips_in_behind_a_sealed_batch(void **state) {
    (void)state;
    const char *url = getenv("TEST_POSTGRES");
    if (!url) /* on SQLite there is one writer */
        skip();
    struct late l = {.lock = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER};
    l.cx = W.cx;
    l.cx.mem = arena_new(1 << 20);
    must(db_open(&l.cx, str_of(url), str_of(W.folder), &l.db));
    l.cx.database = l.db;
    l.write = (struct write){.cx = &l.cx, .run = run_late, .done = late_done, .arg = &l};
    must(db_write(l.db, &l.write));
    pthread_mutex_lock(&l.lock);
    while (!l.written)
        pthread_cond_wait(&l.turn, &l.lock);
    pthread_mutex_unlock(&l.lock);
    size_t n = 5;
    must(db_write_wait(&W.cx, run_rows, &n));
    seal(0);
    assert_int_equal(verified((struct bytes){0}).unsealed, 5);
    pthread_mutex_lock(&l.lock);
    l.free = true;
    pthread_cond_broadcast(&l.turn);
    while (!l.done)
        pthread_cond_wait(&l.turn, &l.lock);
    pthread_mutex_unlock(&l.lock);
    seal(6);
    clean();
    db_close(l.db);
    arena_free(l.cx.mem);
}

static void a_change_keeps_what_differs_and_no_secret(void **state) {
    (void)state;
    struct user was = {.email = S("a@b.example"), .role = S("clerk"), .password = S("secret secret")};
    struct json whole = audit_json(&W.cx, &USER, &was);
    assert_null(memmem(whole.text.p, whole.text.n, "secret", 6));
    struct answer an;
    struct uuid org;
    world_organisation(&W, "Changes", &org);
    world_act(&W, org, uuid_new(W.cx.now), "owner@changes.example", ROLE_OWNER);
    must(world_send(&W,
                    (struct sent){.handler = users_create,
                                  .in = &USER,
                                  .use = CREATE,
                                  .body = "{\"email\":\"k@changes.example\",\"role\":\"clerk\","
                                          "\"password\":\"long enough 12\"}"},
                    &an));
    struct str id = answered(&an, "id");
    W.cx.now.us += 1000;
    must(world_send(&W,
                    (struct sent){.handler = users_patch,
                                  .in = &USER,
                                  .use = PATCH,
                                  .param = str_z(W.cx.mem, id),
                                  .body = "{\"role\":\"manager\",\"password\":\"long enough 13\"}"},
                    &an));
    struct list rows = all(AUDIT_ROWS);
    const struct audit_row *last = (const struct audit_row *)rows.items + rows.n - 1;
    assert_true(str_starts(last->before, S("{\"role\":\"clerk\",\"updated_at\":")));
    assert_true(str_starts(last->after, S("{\"role\":\"manager\",\"updated_at\":")));
    for (size_t i = 0; i < rows.n; i++)
        for (int side = 0; side < 2; side++) {
            struct str s = side ? last[-(ptrdiff_t)i].before : last[-(ptrdiff_t)i].after;
            assert_true(!s.p || (!memmem(s.p, s.n, "argon", 5) && !memmem(s.p, s.n, "assword", 7)));
        }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_change_of_any_column_of_a_row_is_located),
        CASE(a_change_of_any_column_of_the_chain_is_located),
        CASE(rows_taken_out_put_in_and_exchanged_are_located),
        CASE(batches_cut_out_are_located),
        CASE(a_tail_cut_off_with_its_head_is_found_by_the_anchor),
        CASE(rows_and_seals_are_append_only),
        CASE(the_tail_that_is_not_sealed_is_told),
        CASE(sealers_at_once_seal_each_row_once),
        CASE(nothing_slips_in_behind_a_sealed_batch),
        CASE(a_change_keeps_what_differs_and_no_secret),
    };
    const char *seed = getenv("SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)random_state);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

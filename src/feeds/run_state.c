#include "feeds/run_state.h"

#include "base/banned.h"

static const struct field STORE_FIELDS[] = {
    FIELD(struct run_store, store_code, OUT | ROW, "The store; empty: rows that name none."),
    FIELD(struct run_store, rows_read, OUT | ROW, "Rows in the individual files."),
    FIELD(struct run_store, merged_rows, OUT | ROW, "Rows in the merged file."),
    FIELD(struct run_store, rejected_rows, OUT | ROW, "Rows that could not be read, or have a bad value."),
    FIELD(struct run_store, duplicate_rows, OUT | ROW, "Rows whose key came again."),
    FIELD(struct run_store, skipped_rows, OUT | ROW, "Rows out of scope, empty rows, repeated headings."),
};
const struct schema RUN_STORE = SCHEMA(struct run_store, "FeedRunStore", STORE_FIELDS);

static const struct field BUCKET_FIELDS[] = {
    FIELD(struct run_bucket, run_id, ROW, "The run."),
    FIELD(struct run_bucket, bucket, OUT | ROW, "The bucket: the feed's name."),
    FIELD(struct run_bucket, phase, OUT | ROW, "What is to be done next: merge, ingest, cleanup, ended."),
    FIELD(struct run_bucket, state, OUT | ROW,
          "running; done; warned: all that could be taken was, files are kept; stopped by a guard; failed; "
          "empty: there were no files."),
    FIELD(struct run_bucket, message, OUT | ROW, "Why it is so."),
    FIELD(struct run_bucket, merged_file, OUT | ROW, "The merged file's name."),
    FIELD(struct run_bucket, files_read, OUT | ROW, "Individual files that were read."),
    FIELD(struct run_bucket, files_failed, OUT | ROW, "Individual files of which nothing was taken."),
    FIELD(struct run_bucket, rows_read, OUT | ROW,
          "Rows in the individual files: accepted, rejected, duplicate and skipped ones."),
    FIELD(struct run_bucket, merged_rows, OUT | ROW, "Rows in the merged file, one a key."),
    FIELD(struct run_bucket, rejected_rows, OUT | ROW, "Rows in the rejects file."),
    FIELD(struct run_bucket, duplicate_rows, OUT | ROW, "Rows whose key came again."),
    FIELD(struct run_bucket, skipped_rows, OUT | ROW, "Rows out of scope, empty rows, repeated headings."),
    FIELD(struct run_bucket, inserted_rows, OUT | ROW, "New rows of the feed's table."),
    FIELD(struct run_bucket, updated_rows, OUT | ROW, "Rows of the table that changed."),
    FIELD(struct run_bucket, unchanged_rows, OUT | ROW, "Rows of the table that were so already."),
    FIELD(struct run_bucket, decided, ROW, "The guards have let it pass."),
    FIELD(struct run_bucket, approved_by, OUT | ROW, "Who let it pass a guard."),
    FIELD(struct run_bucket, finished_at, OUT | ROW, "When it ended."),
    FIELD(struct run_bucket, stores, OUT, "Its rows by store.", .of = &RUN_STORE, .max = 100000),
};
const struct schema RUN_BUCKET = SCHEMA(struct run_bucket, "FeedRunBucket", BUCKET_FIELDS);

static const struct field RUN_FIELDS[] = {
    FIELD(struct feed_run, id, OUT | ROW, "The run."),
    FIELD(struct feed_run, run_date, OUT | ROW, "The date that it fetched."),
    FIELD(struct feed_run, bucket, OUT | ROW, "The only bucket, if one was named."),
    FIELD(struct feed_run, store, OUT | ROW, "The only store, if one was named."),
    FIELD(struct feed_run, origin, OUT | ROW, "The folder that it took the files from, if one was named."),
    FIELD(
        struct feed_run, state, OUT | ROW,
        "running; done; warned: something was rejected or kept; stopped: a guard wants an approval; failed: "
        "a bucket or a file did."),
    FIELD(struct feed_run, message, OUT | ROW, "Why it is so."),
    FIELD(struct feed_run, started_at, OUT | ROW, "When it began."),
    FIELD(struct feed_run, finished_at, OUT | ROW, "When it ended."),
    FIELD(struct feed_run, actor, OUT | ROW, "Who began it."),
    FIELD(struct feed_run, buckets, OUT, "Its buckets.", .of = &RUN_BUCKET, .max = 1000),
};
const struct schema FEED_RUN = SCHEMA(struct feed_run, "FeedRun", RUN_FIELDS);

struct token {
    int64_t token;
};
static const struct field TOKEN_FIELDS[] = {FIELD(struct token, token, ROW, "The lease's.")};
static const struct schema TOKEN = SCHEMA(struct token, "FeedLeaseToken", TOKEN_FIELDS);

#define RUN_COLUMNS "id, run_date, bucket, store, origin, state, message, started_at, finished_at, actor"
#define BUCKET_COLUMNS                                                                                      \
    "run_id, bucket, phase, state, message, merged_file, files_read, files_failed, rows_read, merged_rows," \
    " rejected_rows, duplicate_rows, skipped_rows, inserted_rows, updated_rows, unchanged_rows, decided,"   \
    " approved_by, finished_at"
enum {
    TAKE,
    RENEW,
    LEAVE,
    OPEN_RUN,
    END_OTHERS,
    ADD_RUN,
    END_RUN,
    GET_RUN,
    ADD_BUCKET,
    GET_BUCKET,
    SAVE_BUCKET,
    BUCKETS,
    DROP_STORES,
    ADD_STORE,
    STORES,
    LAST_ROWS,
    APPROVE,
    REOPEN
};
static const struct stmt SQL[] = {
    [TAKE] =
        {"feed_lease_take", TENANT,
         "INSERT INTO feed_lease (org_id, run_date, holder, token, held_until) VALUES ($org, $1, $2, 1, $3)"
         " ON CONFLICT (org_id, run_date) DO UPDATE SET holder = excluded.holder,"
         " token = feed_lease.token + 1, held_until = excluded.held_until"
         " WHERE feed_lease.held_until < $4 OR feed_lease.holder = excluded.holder RETURNING token",
         NULL, &TOKEN},
    [RENEW] = {"feed_lease_renew", TENANT,
               "UPDATE feed_lease SET held_until = $3 WHERE org_id = $org AND run_date = $1 AND token = $2",
               NULL, NULL},
    [LEAVE] = {"feed_lease_leave", TENANT,
               "UPDATE feed_lease SET held_until = $3 WHERE org_id = $org AND run_date = $1 AND token = $2",
               NULL, NULL},
    [OPEN_RUN] = {"feed_run_open", TENANT,
                  "SELECT " RUN_COLUMNS " FROM feed_run WHERE org_id = $org AND run_date = $1"
                  " AND state = 'running' AND COALESCE(bucket, '') = COALESCE($2, '')"
                  " AND COALESCE(store, '') = COALESCE($3, '') AND COALESCE(origin, '') = COALESCE($4, '')"
                  " ORDER BY id DESC LIMIT 1",
                  NULL, &FEED_RUN},
    [END_OTHERS] = {"feed_run_end_others", TENANT,
                    "UPDATE feed_run SET state = 'failed', message = 'Another run took its place.',"
                    " finished_at = $3 WHERE org_id = $org AND run_date = $1 AND state = 'running'"
                    " AND id <> $2",
                    NULL, NULL},
    [ADD_RUN] = {"feed_run_add", TENANT,
                 "INSERT INTO feed_run (org_id, " RUN_COLUMNS
                 ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                 NULL, NULL},
    [END_RUN] =
        {"feed_run_end", TENANT,
         "UPDATE feed_run SET state = $2, message = $3, finished_at = $4 WHERE org_id = $org AND id = $1",
         NULL, NULL},
    [GET_RUN] = {"feed_run_get", TENANT,
                 "SELECT " RUN_COLUMNS " FROM feed_run WHERE org_id = $org AND id = $1", NULL, &FEED_RUN},
    [ADD_BUCKET] = {"feed_run_bucket_add", TENANT,
                    "INSERT INTO feed_run_bucket (org_id, run_id, bucket, phase, state, files_read,"
                    " files_failed, rows_read, merged_rows, rejected_rows, duplicate_rows, skipped_rows,"
                    " inserted_rows, updated_rows, unchanged_rows, decided) VALUES ($org, $1, $2, 'merge',"
                    " 'running', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FALSE)"
                    " ON CONFLICT (org_id, run_id, bucket) DO NOTHING",
                    NULL, NULL},
    [GET_BUCKET] = {"feed_run_bucket_get", TENANT,
                    "SELECT " BUCKET_COLUMNS " FROM feed_run_bucket WHERE org_id = $org AND run_id = $1"
                    " AND bucket = $2",
                    NULL, &RUN_BUCKET},
    [SAVE_BUCKET] = {"feed_run_bucket_save", TENANT,
                     "UPDATE feed_run_bucket SET phase = $3, state = $4, message = $5, merged_file = $6,"
                     " files_read = $7, files_failed = $8, rows_read = $9, merged_rows = $10,"
                     " rejected_rows = $11, duplicate_rows = $12, skipped_rows = $13, inserted_rows = $14,"
                     " updated_rows = $15, unchanged_rows = $16, decided = $17, approved_by = $18,"
                     " finished_at = $19 WHERE org_id = $org AND run_id = $1 AND bucket = $2",
                     NULL, NULL},
    [BUCKETS] = {"feed_run_buckets", TENANT,
                 "SELECT " BUCKET_COLUMNS " FROM feed_run_bucket WHERE org_id = $org AND run_id = $1"
                 " ORDER BY bucket",
                 NULL, &RUN_BUCKET},
    [DROP_STORES] = {"feed_run_stores_drop", TENANT,
                     "DELETE FROM feed_run_store WHERE org_id = $org AND run_id = $1 AND bucket = $2", NULL,
                     NULL},
    [ADD_STORE] =
        {"feed_run_store_add", TENANT,
         "INSERT INTO feed_run_store (org_id, run_id, bucket, store_code, rows_read, merged_rows,"
         " rejected_rows, duplicate_rows, skipped_rows) VALUES ($org, $7, $8, $1, $2, $3, $4, $5, $6)",
         NULL, NULL},
    [STORES] =
        {"feed_run_stores", TENANT,
         "SELECT store_code, rows_read, merged_rows, rejected_rows, duplicate_rows, skipped_rows"
         " FROM feed_run_store WHERE org_id = $org AND run_id = $1 AND bucket = $2 ORDER BY store_code",
         NULL, &RUN_STORE},
    [LAST_ROWS] = {"feed_run_last_rows", TENANT,
                   "SELECT merged_rows AS token FROM feed_run_bucket WHERE org_id = $org AND bucket = $2"
                   " AND run_id < $1 AND state IN ('done', 'warned') ORDER BY run_id DESC LIMIT 1",
                   NULL, &TOKEN},
    [APPROVE] = {"feed_run_approve", TENANT,
                 "UPDATE feed_run_bucket SET state = 'running', phase = 'merge', approved_by = $3,"
                 " finished_at = NULL WHERE org_id = $org AND run_id = $1 AND bucket = $2"
                 " AND state = 'stopped'",
                 NULL, NULL},
    [REOPEN] = {"feed_run_reopen", TENANT,
                "UPDATE feed_run SET state = 'running', finished_at = NULL WHERE org_id = $org AND id = $1",
                NULL, NULL},
};

static enum err held(struct ctx *cx, int64_t changed) {
    return changed == 1 ? OK : fail(cx, ERR_LEASE_LOST, "Another run of this date has taken over.");
}

enum err run_lease_take(struct ctx *cx, struct run_lease *lease) {
    struct token t = {0};
    struct instant now = db_time(cx->database), until = {now.us + RUN_LEASE_US};
    bool found = false;
    enum err e =
        db_get(cx, &SQL[TAKE], ARGS(A(lease->run_date), A(lease->holder), A(until), A(now)), &t, &found);
    if (!e && !found)
        e = fail(cx, ERR_CONFLICT, "Another run of %.*s is under way.", STR_FMT(lease->run_date));
    if (!e)
        lease->token = t.token;
    return e;
}

enum err run_lease_renew(struct ctx *cx, const struct run_lease *lease) {
    struct instant until = {db_time(cx->database).us + RUN_LEASE_US};
    int64_t changed = 0;
    enum err e = db_exec(cx, &SQL[RENEW], ARGS(A(lease->run_date), A(lease->token), A(until)), &changed);
    return e ? e : held(cx, changed);
}

enum err run_lease_leave(struct ctx *cx, const struct run_lease *lease) {
    struct instant now = {db_time(cx->database).us - 1};
    return db_exec(cx, &SQL[LEAVE], ARGS(A(lease->run_date), A(lease->token), A(now)), NULL);
}

enum err run_open(struct ctx *cx, struct feed_run *run) {
    struct feed_run open = {0};
    bool found = false;
    enum err e = db_get(cx, &SQL[OPEN_RUN],
                        ARGS(A(run->run_date), A(run->bucket), A(run->store), A(run->origin)), &open, &found);
    if (e)
        return e;
    if (!found)
        return db_exec(cx, &SQL[ADD_RUN], args_of(cx, &FEED_RUN, run, ARGS()), NULL);
    *run = open;
    return OK;
}

enum err run_begin(struct ctx *cx, const struct run_lease *lease, struct feed_run *run) {
    enum err e = run_lease_renew(cx, lease);
    if (e || (e = run_open(cx, run)))
        return e;
    return db_exec(cx, &SQL[END_OTHERS], ARGS(A(run->run_date), A(run->id), A(cx->now)), NULL);
}

enum err run_end(struct ctx *cx, const struct run_lease *lease, const struct feed_run *run) {
    enum err e = run_lease_renew(cx, lease);
    if (!e)
        e = db_exec(cx, &SQL[END_RUN], ARGS(A(run->id), A(run->state), A(run->message), A(cx->now)), NULL);
    return e ? e : run_lease_leave(cx, lease);
}

enum err run_find(struct ctx *cx, struct uuid id, struct feed_run *out) {
    bool found = false;
    enum err e = db_get(cx, &SQL[GET_RUN], ARGS(A(id)), out, &found);
    if (e || !found)
        return e ? e : fail(cx, ERR_NOT_FOUND, "There is no run with this id.");
    e = db_list(cx, &SQL[BUCKETS], ARGS(A(id)), &out->buckets);
    struct run_bucket *b = out->buckets.items;
    for (size_t i = 0; !e && i < out->buckets.n; i++)
        e = db_list(cx, &SQL[STORES], ARGS(A(id), A(b[i].bucket)), &b[i].stores);
    return e;
}

enum err run_bucket_begin(struct ctx *cx, const struct run_lease *lease, struct uuid run, struct str bucket,
                          struct run_bucket *out) {
    bool found;
    enum err e = run_lease_renew(cx, lease);
    if (e || (e = db_exec(cx, &SQL[ADD_BUCKET], ARGS(A(run), A(bucket)), NULL)))
        return e;
    return db_get(cx, &SQL[GET_BUCKET], ARGS(A(run), A(bucket)), out, &found);
}

enum err run_bucket_save(struct ctx *cx, const struct run_lease *lease, const struct run_bucket *b) {
    enum err e = run_lease_renew(cx, lease);
    return e ? e : db_exec(cx, &SQL[SAVE_BUCKET], args_of(cx, &RUN_BUCKET, b, ARGS()), NULL);
}

enum err run_stores_save(struct ctx *cx, const struct run_bucket *b) {
    const struct run_store *s = b->stores.items;
    enum err e = db_exec(cx, &SQL[DROP_STORES], ARGS(A(b->run_id), A(b->bucket)), NULL);
    for (size_t i = 0; !e && i < b->stores.n; i++)
        e = db_exec(cx, &SQL[ADD_STORE], args_of(cx, &RUN_STORE, &s[i], ARGS(A(b->run_id), A(b->bucket))),
                    NULL);
    return e;
}

enum err run_last_rows(struct ctx *cx, const struct run_bucket *b, int64_t *out) {
    struct token t = {0};
    bool found;
    enum err e = db_get(cx, &SQL[LAST_ROWS], ARGS(A(b->run_id), A(b->bucket)), &t, &found);
    if (!e)
        *out = t.token;
    return e;
}

enum err run_approve(struct ctx *cx, struct uuid run, struct str bucket) {
    int64_t changed = 0;
    enum err e = db_exec(cx, &SQL[APPROVE], ARGS(A(run), A(bucket), A(cx->actor.name)), &changed);
    if (!e && changed == 0)
        e = fail(cx, ERR_CONFLICT, "No guard has stopped this bucket of the run.");
    return e ? e : db_exec(cx, &SQL[REOPEN], ARGS(A(run)), NULL);
}

const struct module RUN_STATE_MODULE = {.name = "feeds_state", TABLE(stmts, SQL)};

#include "core/upload.h"

#include "base/csv.h"
#include "base/json.h"
#include "core/ingest.h"
#include "identity/audit.h"
#include "jobs/jobs.h"
#include "net/listing.h"

#include "base/banned.h"

#define BODY_MAX (32u << 20)
#define PIECE 50                  /* rows */
#define PIECE_US (10 * US_PER_MS) /* then the lane is others' turn */
#define ALL_OR_NONE_MAX 2000

static const char *const STATES[] = {"reading", "ready", "applying", "applied", "failed", NULL};
static const char *const VERDICTS[] = {"create", "receive", "touch", "repair", "rejected", "duplicate", NULL};
static const char *const OUTCOMES[] = {"accepted", "rejected", "duplicate", NULL};
enum { F_STATE = 8 };
static const struct field FIELDS[] = {
    FIELD(struct upload, id, OUT | ROW, "The upload's own id."),
    FIELD(struct upload, name, OUT | ROW, "The file's name.", .max = 1000),
    FIELD(struct upload, format, OUT | ROW, "csv or xlsx, by its content."),
    FIELD(struct upload, encoding, OUT | ROW, "How its text was written; null for xlsx."),
    FIELD(struct upload, size, OUT | ROW, "Its bytes."),
    FIELD(struct upload, digest, OUT | ROW, "SHA-256 of its bytes."),
    FIELD(struct upload, columns, OUT | ROW, "Which heading is read as which field."),
    FIELD(struct upload, warnings, OUT | ROW, "What is not read."),
    FIELD(struct upload, state, OUT | ROW, "reading, ready (a preview), applying, applied or failed.",
          .one_of = STATES),
    FIELD(struct upload, total_rows, OUT | ROW, "How many rows it has, without headings and empty ones."),
    FIELD(struct upload, to_create, OUT | ROW, "Rows that would make an item, and receive it."),
    FIELD(struct upload, to_receive, OUT | ROW, "Rows that would receive stock."),
    FIELD(struct upload, to_touch, OUT | ROW, "Rows of quantity 0 for items that are there."),
    FIELD(struct upload, to_repair, OUT | ROW, "Rows that correct an exception."),
    FIELD(struct upload, to_reject, OUT | ROW, "Rows that would be refused."),
    FIELD(struct upload, to_skip, OUT | ROW, "Rows that were counted before."),
    FIELD(struct upload, accepted, OUT | ROW, "Rows that were applied."),
    FIELD(struct upload, rejected, OUT | ROW, "Rows that were refused and are exceptions now."),
    FIELD(struct upload, duplicate, OUT | ROW, "Rows that had been counted before."),
    FIELD(struct upload, created_at, OUT | ROW, "When it was uploaded."),
    FIELD(struct upload, actor, OUT | ROW, "Who uploaded it."),
    FIELD(struct upload, applied_at, OUT | ROW, "When applying it ended."),
    FIELD(struct upload, applied_by, OUT | ROW, "Who applied it."),
    FIELD(struct upload, cursor_row, OUT | ROW, "The last row that was applied."),
    FIELD(struct upload, ref_prefix, OUT | ROW,
          "Its moves have source upload and a source_ref that begins with this, then : and the row."),
    FIELD(struct upload, problem, OUT | ROW, "Why it failed; it can be uploaded again.", .max = 2000),
    FIELD(struct upload, dropped_at, OUT | ROW, "When its rows were dropped; what they came to stays."),
    FIELD(struct upload, same_as, OUT, "An upload of the very same bytes that was applied before."),
};
const struct schema UPLOAD = SCHEMA(struct upload, "Upload", FIELDS);

enum { R_UPLOAD = 0, R_VERDICT = 6, R_OUTCOME = 9 };
static const struct field ROW_FIELDS[] = {
    FIELD(struct upload_row, upload_id, OUT | ROW, "The upload."),
    FIELD(struct upload_row, row_number, OUT | ROW, "The row as a spreadsheet counts; headings are row 1."),
    FIELD(struct upload_row, original, OUT | ROW, "The row as it came: heading → cell, as JSON."),
    FIELD(struct upload_row, scan, OUT | ROW, "What of it is read, as the JSON of a scan."),
    FIELD(struct upload_row, sku, OUT | ROW, "The item."),
    FIELD(struct upload_row, quantity, OUT | ROW, "How many; null of a row that is refused."),
    FIELD(struct upload_row, verdict, OUT | ROW, "What it would do.", .one_of = VERDICTS),
    FIELD(struct upload_row, problems, OUT | ROW, "What is wrong with it, field by field.", .max = 1 << 20),
    FIELD(struct upload_row, exception_id, OUT | ROW, "The exception that it corrects."),
    FIELD(struct upload_row, outcome, OUT | ROW, "What it did; null while it is not applied.",
          .one_of = OUTCOMES),
    FIELD(struct upload_row, move_id, OUT | ROW, "Its move; reversing that takes it back."),
};
const struct schema UPLOAD_ROW = SCHEMA(struct upload_row, "UploadRow", ROW_FIELDS);

struct apply_order {
    bool force, all_or_none;
};
static const struct field ORDER_FIELDS[] = {
    FIELD(struct apply_order, force, CREATE,
          "Although the very same file was applied before: count it again."),
    FIELD(struct apply_order, all_or_none, CREATE,
          "Only if every row can be applied, in one transaction; for up to 2,000 rows."),
};
static const struct schema ORDER = SCHEMA(struct apply_order, "UploadApply", ORDER_FIELDS);

struct args_id {
    struct uuid id;
};
static const struct field ID_FIELDS[] = {FIELD(struct args_id, id, CREATE | OUT | ROW | REQUIRED, "Its id.")};
static const struct schema ID = SCHEMA(struct args_id, "UploadId", ID_FIELDS);

#define ROWS_LIKE                                     \
    " AND (CAST($6 AS text) IS NULL OR verdict = $6)" \
    " AND (CAST($7 AS text) IS NULL OR outcome = $7)"
enum { GET_ONE, NEWEST, ROWS, ROWS_OF_UPLOAD, SAME, CLAIM, NEXT, ROW_DONE, ADVANCE, DROP_ROWS, DROP };
static const struct stmt SQL[] = {
    [GET_ONE] = {"upload_get", TENANT,
                 "SELECT " UPLOAD_COLUMNS " FROM upload WHERE org_id = $org AND id = $1", NULL, &UPLOAD},
    [NEWEST] = {"upload_newest", TENANT,
                "SELECT " UPLOAD_COLUMNS " FROM upload WHERE org_id = $org AND id < COALESCE($3,"
                " x'ffffffffffffffffffffffffffffffff') AND CAST($4 AS text) IS NULL"
                " AND (CAST($5 AS text) IS NULL OR state = $5) ORDER BY id DESC LIMIT $1 OFFSET $2",
                "SELECT " UPLOAD_COLUMNS " FROM upload WHERE org_id = $org AND id < COALESCE($3,"
                " 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) AND CAST($4 AS text) IS NULL"
                " AND (CAST($5 AS text) IS NULL OR state = $5) ORDER BY id DESC LIMIT $1 OFFSET $2",
                &UPLOAD},
    [ROWS] = {"upload_rows", TENANT,
              "SELECT " UPLOAD_ROW_COLUMNS
              " FROM upload_row WHERE org_id = $org AND (upload_id, row_number) >"
              " (COALESCE($3, x'00000000000000000000000000000000'), COALESCE($4, 0))"
              " AND CAST($5 AS text) IS NULL" ROWS_LIKE " ORDER BY upload_id, row_number LIMIT $1 OFFSET $2",
              "SELECT " UPLOAD_ROW_COLUMNS
              " FROM upload_row WHERE org_id = $org AND (upload_id, row_number) >"
              " (COALESCE($3, '00000000-0000-0000-0000-000000000000'::uuid), COALESCE($4, 0))"
              " AND CAST($5 AS uuid) IS NULL" ROWS_LIKE " ORDER BY upload_id, row_number LIMIT $1 OFFSET $2",
              &UPLOAD_ROW},
    /* Its rows alone, so that the last page ends where they end. */
    [ROWS_OF_UPLOAD] = {"upload_rows_of_upload", TENANT,
                        "SELECT " UPLOAD_ROW_COLUMNS " FROM upload_row WHERE org_id = $org AND upload_id = $5"
                        " AND row_number > CASE WHEN COALESCE($3, $5) > $5 THEN 9223372036854775807"
                        " WHEN COALESCE($3, $5) = $5 THEN COALESCE($4, 0) ELSE 0 END" ROWS_LIKE
                        " ORDER BY row_number LIMIT $1 OFFSET $2",
                        NULL, &UPLOAD_ROW},
    [SAME] = {"upload_same", TENANT,
              "SELECT id FROM upload WHERE org_id = $org AND digest = $1 AND state IN ('applying', 'applied')"
              " AND id <> $2 ORDER BY id LIMIT 1",
              NULL, &ID},
    [CLAIM] = {"upload_claim", TENANT,
               "UPDATE upload SET state = 'applying', applied_by = $2, ref_prefix = $3"
               " WHERE org_id = $org AND id = $1 AND state = 'ready'",
               NULL, NULL},
    [NEXT] = {"upload_next", TENANT,
              "SELECT " UPLOAD_ROW_COLUMNS " FROM upload_row WHERE org_id = $org AND upload_id = $1"
              " AND row_number > $2 ORDER BY row_number LIMIT $3",
              NULL, &UPLOAD_ROW},
    [ROW_DONE] = {"upload_row_done", TENANT,
                  "UPDATE upload_row SET outcome = $3, move_id = $4"
                  " WHERE org_id = $org AND upload_id = $1 AND row_number = $2",
                  NULL, NULL},
    /* Guarded by where it stood, so that of two workers one goes on. */
    [ADVANCE] =
        {"upload_advance", TENANT,
         "UPDATE upload SET state = $2, accepted = $3, rejected = $4, duplicate = $5, cursor_row = $6,"
         " applied_at = $7 WHERE org_id = $org AND id = $1 AND cursor_row = $8 AND state = 'applying'",
         NULL, NULL},
    [DROP_ROWS] =
        {"upload_drop_rows", TENANT,
         "DELETE FROM upload_row WHERE org_id = $org AND upload_id = $1 AND EXISTS (SELECT 1"
         " FROM upload u WHERE u.org_id = $org AND u.id = $1 AND u.state IN ('reading', 'ready', 'failed'))",
         NULL, NULL},
    [DROP] = {"upload_drop", TENANT,
              "DELETE FROM upload WHERE org_id = $org AND id = $1"
              " AND state IN ('reading', 'ready', 'failed')",
              NULL, NULL},
};

static enum err find(struct ctx *cx, struct str id, struct upload *out) {
    struct uuid u;
    bool found = false;
    enum err e = uuid_parse(id, &u) ? db_get(cx, &SQL[GET_ONE], ARGS(A(u)), out, &found) : OK;
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no upload with this id.");
}

static enum err find_same(struct ctx *cx, struct upload *u) {
    struct args_id same = {0};
    bool found;
    enum err e = db_get(cx, &SQL[SAME], ARGS(A(u->digest), A(u->id)), &same, &found);
    if (!e && found)
        u->same_as = same.id;
    return e;
}

static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    struct part file;
    struct upload u;
    int64_t max = setting_int(cx->modules->settings, "UPLOAD_MAX");
    enum err e = request_file(cx, rq, S("file"), &file);
    if (!e && (int64_t)file.content.n > max)
        e = fail(cx, ERR_TOO_LARGE, "The file may have at most %lld bytes (UPLOAD_MAX).", (long long)max);
    if (e || (e = upload_read(cx, &file, &u)) || (e = db_read_begin(cx)))
        return e;
    e = find_same(cx, &u);
    db_read_end(cx);
    return e ? e : answer_object(cx, an, 201, &UPLOAD, &u);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct upload u;
    enum err e = find(cx, rq->param[0], &u);
    if (e || (e = find_same(cx, &u)))
        return e;
    return answer_object(cx, an, 200, &UPLOAD, &u);
}

static enum err drop(struct ctx *cx, struct request *rq, struct answer *an) {
    struct upload u;
    struct steps steps = {.cx = cx};
    enum err e = find(cx, rq->param[0], &u);
    if (e)
        return e;
    steps_add(&steps, &SQL[DROP_ROWS], ARGS(A(u.id)), NULL);
    steps_add(&steps, &SQL[DROP], ARGS(A(u.id)), NULL);
    if ((e = steps_run(&steps)))
        return e;
    if (steps.v[1].changed == 0)
        return fail(cx, ERR_CONFLICT, "The upload has been applied; it stays on record.");
    an->status = 204;
    return OK;
}

/* A row that corrects an exception: that one is applied as the row says, and ends. Only a scan can be: what
 * else waits for a person is not made of such rows. */
static enum err repair(struct ctx *cx, const struct upload_row *row, struct str *outcome) {
    struct exception x;
    char id[36];
    bool refused = false;
    enum err e = exception_find(cx, uuid_format(row->exception_id, id), &x);
    if (!e && !str_eq(x.state, S("open"))) {
        *outcome = S("duplicate");
        return OK;
    }
    if (!e && !str_eq(x.kind, S("scan"))) {
        *outcome = S("rejected");
        return OK;
    }
    if (!e)
        e = exception_replay(cx, &x, row->scan, (struct uuid){0}, &refused);
    if (e && e != ERR_NOT_FOUND && !exception_refusal(e))
        return e;
    *outcome = e || refused ? S("rejected") : S("accepted");
    fault_clear(cx);
    return OK;
}

static enum err apply_row(struct ctx *cx, const struct upload *u, struct upload_row *row) {
    struct exception_origin from = {
        .kind = S("scan"),
        .source = S("upload"),
        .ref = str_printf(cx->mem, "%.*s:%lld", STR_FMT(u->ref_prefix), (long long)row->row_number),
        .upload_id = u->id,
        .row_number = {row->row_number, true}};
    struct scan_result r = {0};
    struct uuid id;
    bool refused = true;
    enum err e;
    if (!uuid_is_nil(row->exception_id))
        return repair(cx, row, &row->outcome);
    if (str_eq(row->verdict, S("rejected")))
        e = exception_add_with(cx, &from, row->scan, row->problems, &id);
    else
        e = ingest_row(cx, &from, row->scan, &r, &refused);
    if (e)
        return e;
    fault_clear(cx); /* a refusal's; the exception has it */
    row->outcome = refused ? S("rejected") : r.repeated ? S("duplicate") : S("accepted");
    row->move_id = r.move_id;
    return OK;
}

static enum err enqueue(struct ctx *cx, struct uuid id) {
    struct args_id a = {id};
    return jobs_enqueue(cx, &(struct job_new){.name = "uploads.apply", .args = audit_json(cx, &ID, &a)});
}

/* The next rows in this transaction, until its time is up (0: all of them), with the row that it has come to,
 * and the job for what is left. */
static enum err go_on(struct ctx *cx, struct upload *u, int64_t limit, int64_t most_us) {
    struct list found;
    struct steps done = {.cx = cx};
    int64_t was = u->cursor_row, until = clock_steady() + most_us;
    enum err e = db_list(cx, &SQL[NEXT], ARGS(A(u->id), A(was), A(limit)), &found);
    struct upload_row *rows = found.items;
    size_t i = 0;
    for (; !e && i < found.n && (i == 0 || !most_us || clock_steady() < until); i++) {
        e = apply_row(cx, u, &rows[i]);
        u->cursor_row = rows[i].row_number;
        *(str_eq(rows[i].outcome, S("accepted"))   ? &u->accepted
          : str_eq(rows[i].outcome, S("rejected")) ? &u->rejected
                                                   : &u->duplicate) += 1;
        steps_add(&done, &SQL[ROW_DONE],
                  ARGS(A(u->id), A(rows[i].row_number), A(rows[i].outcome), A(rows[i].move_id)), NULL);
    }
    if (e)
        return e;
    bool more = i < found.n || (int64_t)found.n == limit;
    u->state = more ? S("applying") : S("applied");
    u->applied_at = more ? (struct instant){0} : cx->now;
    steps_add(&done, &SQL[ADVANCE],
              ARGS(A(u->id), A(u->state), A(u->accepted), A(u->rejected), A(u->duplicate), A(u->cursor_row),
                   A(u->applied_at), A(was)),
              NULL);
    if ((e = steps_run(&done)))
        return e;
    if (done.v[done.n - 1].changed == 0)
        return fail(cx, ERR_CONFLICT, "The upload has been taken on by another worker.");
    return more ? enqueue(cx, u->id) : OK;
}

/* The job `uploads.apply`. */
static enum err continue_upload(struct ctx *cx, const struct job *job) {
    struct args_id a;
    struct upload u;
    bool found;
    enum err e = schema_decode(cx, &ID, CREATE, REFUSE_UNKNOWN, job->args.text, &a, NULL);
    if (e || (e = db_get(cx, &SQL[GET_ONE], ARGS(A(a.id)), &u, &found)) || !found ||
        !str_eq(u.state, S("applying")))
        return e;
    struct str name = cx->actor.name;
    cx->actor.name = u.applied_by;
    e = go_on(cx, &u, PIECE, PIECE_US);
    cx->actor.name = name;
    return e;
}

static enum err check_all_or_none(struct ctx *cx, const struct upload *u) {
    if (u->total_rows > ALL_OR_NONE_MAX)
        return fail_field(cx, S("all_or_none"), "is for up to %d rows; this file has %lld", ALL_OR_NONE_MAX,
                          (long long)u->total_rows);
    if (u->to_reject > 0)
        return fail_field(cx, S("all_or_none"), "cannot be: %lld rows are refused; see the rows",
                          (long long)u->to_reject);
    return OK;
}

static enum err apply(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct apply_order *o = rq->in;
    struct upload u;
    char id[36];
    int64_t changed;
    enum err e = find(cx, rq->param[0], &u);
    if (e || (o->all_or_none && (e = check_all_or_none(cx, &u))) || (e = find_same(cx, &u)))
        return e;
    if (!uuid_is_nil(u.same_as) && !o->force)
        return fail(cx, ERR_CONFLICT,
                    "The very same file was applied before, as upload %.36s; force counts it again.",
                    uuid_format(u.same_as, id).p);
    u.ref_prefix = str_dup(cx->mem, o->force ? uuid_format(u.id, id) : str_sub(u.digest, 0, 32));
    u.applied_by = cx->actor.name;
    e = db_exec(cx, &SQL[CLAIM], ARGS(A(u.id), A(u.applied_by), A(u.ref_prefix)), &changed);
    if (!e && changed == 0)
        e = fail(cx, ERR_CONFLICT, "The upload is %.*s; only one that is ready can be applied.",
                 STR_FMT(u.state));
    if (e || (e = go_on(cx, &u, o->all_or_none ? ALL_OR_NONE_MAX + 1 : PIECE, 0)))
        return e;
    if (o->all_or_none && u.rejected > 0)
        return fail(cx, ERR_CONFLICT, "%lld rows are refused by now, so nothing was applied.",
                    (long long)u.rejected);
    if ((e = audit_write(cx, S("upload.apply"), uuid_format(u.id, id), (struct json){0},
                         audit_json(cx, &UPLOAD, &u))))
        return e;
    return answer_object(cx, an, 200, &UPLOAD, &u);
}

static enum err template(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)rq; answer_header(an, S("Content-Disposition"), S("attachment; filename=\"scans.csv\""));
    return answer_text(cx, an, 200, S("text/csv; charset=utf-8"),
                       S("\xef\xbb\xbfSKU,Quantity,Name,Location,Barcode,Scan ID\r\n"));
}

static const struct job_type JOBS[] = {
    {.name = "uploads.apply",
     .mode = JOB_CLOSURE,
     .run = continue_upload,
     .args = &ID,
     .doc = "Goes on with applying an uploaded file."},
};
static const struct setting SETTINGS[] = {
    {.name = "UPLOAD_MAX",
     .type = SETTING_INT,
     .fallback = "16777216",
     .min = 1024,
     .max = BODY_MAX - 65536,
     .doc = "The largest file of scans that may be uploaded, in bytes."},
};

static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {{"state", NULL, NULL, &FIELDS[F_STATE], NULL}};
static const struct listing LISTING = {&UPLOAD, SORTS, 1, FILTERS, 1};
static const struct listing_sort ROW_SORTS[] = {{"row_number", &SQL[ROWS], "upload_id", "row_number"}};
static const struct listing_filter ROW_FILTERS[] = {
    {"upload_id", NULL, "upload_id", &ROW_FIELDS[R_UPLOAD], &SQL[ROWS_OF_UPLOAD]},
    {"verdict", NULL, NULL, &ROW_FIELDS[R_VERDICT], NULL},
    {"outcome", NULL, NULL, &ROW_FIELDS[R_OUTCOME], NULL},
};
static const struct listing ROW_LISTING = {&UPLOAD_ROW, ROW_SORTS, 1, ROW_FILTERS, 3};

static const enum err NOT_NOW[] = {ERR_CONFLICT, ERR_INVALID, OK};
#define PATH "/api/v1/catalog/uploads"
static const struct route ROUTES[] = {
    ROUTE(POST, PATH, SLOW, AREA_FLOOR, NEED_WRITE, create,
          "Uploads a CSV or XLSX file of scans and answers what it would do; nothing is applied yet.",
          .flags = ROUTE_FILE | ROUTE_CREATES, .out = &UPLOAD, .body_max = BODY_MAX),
    ROUTE(GET, PATH, READ, AREA_FLOOR, NEED_READ, listing_answer, "Lists the uploads, newest first.",
          .flags = ROUTE_LIST, .out = &UPLOAD, .listing = &LISTING),
    ROUTE(GET, PATH "/rows", READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists the rows of an upload (upload_id=…): what each would do, what is wrong, what it did.",
          .flags = ROUTE_LIST, .out = &UPLOAD_ROW, .listing = &ROW_LISTING),
    ROUTE(GET, PATH "/template", INSTANT, AREA_FLOOR, NEED_READ, template,
          "A CSV file with the headings that an upload may have.", .flags = ROUTE_RAW,
          .out_type = "text/csv"),
    ROUTE(GET, PATH "/{id}", READ, AREA_FLOOR, NEED_READ, get,
          "Shows an upload: its preview, how far it has come, what it came to.", .out = &UPLOAD),
    ROUTE(POST, PATH "/{id}/apply", WRITE, AREA_FLOOR, NEED_WRITE, apply,
          "Applies an upload: good rows count, bad ones become exceptions. What is more than 50 rows goes on "
          "in "
          "the background.",
          .flags = ROUTE_BODY_OPTIONAL, .in = &ORDER, .in_use = CREATE, .out = &UPLOAD, .errors = NOT_NOW),
    ROUTE(DELETE, PATH "/{id}", WRITE, AREA_FLOOR, NEED_WRITE, drop, "Drops an upload that was not applied.",
          .flags = ROUTE_NO_CONTENT, .errors = NOT_NOW),
};

const struct module UPLOAD_MODULE = {.name = "uploads",
                                     TABLE(routes, ROUTES),
                                     TABLE(stmts, SQL),
                                     TABLE(jobs, JOBS),
                                     TABLE(settings, SETTINGS)};

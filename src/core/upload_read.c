/* From a file to the rows of a preview: headings, cells, the JSON of a scan, and what it would do. */
#include "base/csv.h"
#include "base/json.h"
#include "core/ingest.h"
#include "core/scan_heading.h"
#include "core/upload.h"

#include <sodium.h>

#include "base/banned.h"

#define ROWS_MAX 200000
#define CHUNK 200
#define CHUNK_MEM ((size_t)48 << 20)
#define ROW_JSON_MAX (256 * 1024)
#define CHUNK_BYTES ((size_t)4 << 20) /* of rows as they came, after which a chunk is full */

/* Texts that were there before: open addressing, never full. */
struct set {
    struct str *slots;
    size_t cap, n;
};

struct reading {
    struct ctx *cx;
    struct upload *up;
    struct sheet *sheet;
    struct str headings[CSV_CELLS_MAX];
    enum scan_column columns[CSV_CELLS_MAX];
    size_t n_columns;
    struct set skus, scans;
};

struct look {
    bool item, place, taken;
};
static const struct field LOOK_FIELDS[] = {
    FIELD(struct look, item, ROW, "The catalogue has it."),
    FIELD(struct look, place, ROW, "Stock can be received there."),
    FIELD(struct look, taken, ROW, "The scan was counted before."),
};
static const struct schema LOOK = SCHEMA(struct look, "UploadLook", LOOK_FIELDS);

enum { INSERT, INSERT_ROW, READY, FAILED, LOOK_UP };
const struct stmt UPLOAD_READ_STMTS[UPLOAD_READ_STMTS_N] = {
    [INSERT] = {"upload_insert", TENANT,
                "INSERT INTO upload (org_id, " UPLOAD_COLUMNS
                ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9,"
                " $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)",
                NULL, NULL},
    [INSERT_ROW] = {"upload_row_insert", TENANT,
                    "INSERT INTO upload_row (org_id, " UPLOAD_ROW_COLUMNS
                    ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                    NULL, NULL},
    [READY] = {"upload_ready", TENANT,
               "UPDATE upload SET state = 'ready', total_rows = $2, to_create = $3, to_receive = $4,"
               " to_touch = $5, to_repair = $6, to_reject = $7, to_skip = $8"
               " WHERE org_id = $org AND id = $1 AND state = 'reading'",
               NULL, NULL},
    [FAILED] = {"upload_failed", TENANT,
                "UPDATE upload SET state = 'failed', problem = $2"
                " WHERE org_id = $org AND id = $1 AND state = 'reading'",
                NULL, NULL},
    [LOOK_UP] = {"upload_look_up", TENANT,
                 "SELECT EXISTS (SELECT 1 FROM item WHERE org_id = $org AND sku = $1) AS item,"
                 " EXISTS (SELECT 1 FROM place WHERE org_id = $org AND code = $2 AND bounded) AS place,"
                 " EXISTS (SELECT 1 FROM stock_move WHERE org_id = $org AND source = $3 AND source_ref = $4)"
                 " AS taken",
                 NULL, &LOOK},
};

static uint64_t hash(struct str s) {
    uint64_t h = 14695981039346656037u; /* FNV-1a; a flood of collisions costs its sender's own request */
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h;
}

/* True when it is new. Without memory nothing is known, and what is there twice is found when it is applied.
 */
static bool set_add(struct arena *mem, struct set *set, struct str s) {
    if (2 * set->n >= set->cap) {
        struct set larger = {.cap = set->cap ? 4 * set->cap : 1024};
        if (!(larger.slots = NEW_N(mem, struct str, larger.cap)))
            return true;
        for (size_t i = 0; i < set->cap; i++)
            if (set->slots[i].p) {
                size_t at = hash(set->slots[i]) % larger.cap;
                while (larger.slots[at].p)
                    at = (at + 1) % larger.cap;
                larger.slots[at] = set->slots[i];
            }
        larger.n = set->n;
        *set = larger;
    }
    size_t at = hash(s) % set->cap;
    for (; set->slots[at].p; at = (at + 1) % set->cap)
        if (str_eq(set->slots[at], s))
            return false;
    set->slots[at] = str_dup(mem, s);
    set->n++;
    return true;
}

static enum err read_headings(struct reading *r) {
    struct ctx *cx = r->cx;
    struct buf columns = buf_new(cx->mem, 1 << 16), warnings = buf_new(cx->mem, 1 << 16);
    struct sheet_row row;
    bool seen[SCAN_COLUMNS] = {false}, first = true;
    if (!sheet_next(r->sheet, &row))
        return fail_field(cx, S("file"), "has no rows");
    buf_byte(&columns, '{');
    buf_byte(&warnings, '[');
    for (size_t i = 0; i < row.n; i++) {
        struct str heading = str_dup(cx->mem, str_trim(row.cells[i]));
        enum scan_column c = scan_column_of(heading, SCAN_OF_FILE);
        r->headings[i] = heading.n ? heading : str_printf(cx->mem, "column %zu", i + 1);
        r->columns[i] = c;
        if (c != SCAN_NONE && c != SCAN_OURS && seen[c])
            return fail_field(cx, S("file"), "has two columns for %s; the second is headed %.*s",
                              SCAN_FIELDS[c], STR_FMT(heading));
        seen[c] = true;
        if (c != SCAN_NONE && c != SCAN_OURS) {
            json_put_key(&columns, &first, heading);
            json_put_string(&columns, str_of(SCAN_FIELDS[c]));
        } else if (c == SCAN_NONE && heading.n) {
            if (warnings.n > 1)
                buf_byte(&warnings, ',');
            json_put_string(&warnings, str_printf(cx->mem, "The column %.*s is not read.", STR_FMT(heading)));
        }
    }
    r->n_columns = row.n;
    buf_byte(&columns, '}');
    buf_byte(&warnings, ']');
    r->up->columns.text = buf_str(&columns);
    r->up->warnings.text = buf_str(&warnings);
    if (columns.failed || warnings.failed)
        return fail_field(cx, S("file"), "has headings that are too long");
    for (enum scan_column c = SCAN_SKU; c <= SCAN_QUANTITY; c++)
        if ((c == SCAN_SKU || c == SCAN_QUANTITY) && !seen[c])
            (void)fail_field(cx, S("file"), "has no column headed %s in its first row",
                             c == SCAN_SKU ? "SKU" : "Quantity");
    return cx->fault.code;
}

/* 1.23457E+12: what a spreadsheet leaves of a long number. */
static bool shortened(struct str s) {
    size_t i = 0;
    while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.' || s.p[i] == ','))
        i++;
    return i > 0 && i + 2 < s.n && (s.p[i] == 'E' || s.p[i] == 'e') && s.p[i + 1] == '+';
}

/* "3.0" and "3.00" are 3. */
static struct str whole(struct str s) {
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] == '0')
        n--;
    return n > 1 && n < s.n && s.p[n - 1] == '.' ? str_sub(s, 0, n - 1) : s;
}

static void put_cell(struct reading *r, struct ctx *cx, enum scan_column c, struct str cell, struct buf *scan,
                     bool *first) {
    int64_t number;
    struct str field = str_of(SCAN_FIELDS[c]);
    (void)r;
    if (cell.n == 0 && c != SCAN_SKU && c != SCAN_QUANTITY)
        return;
    if ((c == SCAN_SKU || c == SCAN_BARCODE || c == SCAN_SCAN_ID) && shortened(cell))
        (void)fail_field(cx, field, "%.*s was shortened by a spreadsheet; format the column as text",
                         STR_FMT(cell));
    json_put_key(scan, first, field);
    if (c == SCAN_QUANTITY && str_int(whole(cell), &number))
        buf_add(scan, whole(cell));
    else
        json_put_string(scan, cell);
}

/* The cells as they came and what of them is read; what is wrong stands in cx's fault. */
static enum err make_row(struct reading *r, struct ctx *cx, const struct sheet_row *in,
                         struct upload_row *out, struct scan *s) {
    struct buf original = buf_new(cx->mem, ROW_JSON_MAX), scan = buf_new(cx->mem, ROW_JSON_MAX);
    bool first_cell = true, first = true;
    buf_byte(&original, '{');
    buf_byte(&scan, '{');
    for (size_t i = 0; i < in->n; i++) {
        struct str cell = str_trim(in->cells[i]);
        bool clean = !memchr(cell.n ? cell.p : "x", 0, cell.n ? cell.n : 1);
        bool headed = i < r->n_columns;
        enum scan_column c = headed ? r->columns[i] : SCAN_NONE;
        struct str heading = headed ? r->headings[i] : str_printf(cx->mem, "column %zu", i + 1);
        if (cell.n > 0 && !headed)
            (void)fail_field(cx, heading, "has no heading");
        if (cell.n > 0) {
            json_put_key(&original, &first_cell, heading);
            json_put_string(&original, clean ? in->cells[i] : S("(with a NUL character)"));
        }
        if (in->cell_problems && in->cell_problems[i] && c != SCAN_NONE && c != SCAN_OURS)
            (void)fail_field(cx, str_of(SCAN_FIELDS[c]), "%s", in->cell_problems[i]);
        else if (c == SCAN_EXCEPTION_ID && cell.n > 0 && !uuid_parse(cell, &out->exception_id))
            (void)fail_field(cx, S("exception_id"), "is not the id of an exception");
        else if (c != SCAN_NONE && c != SCAN_OURS && c != SCAN_EXCEPTION_ID && clean)
            put_cell(r, cx, c, csv_plain(cell), &scan, &first);
    }
    buf_byte(&original, '}');
    buf_byte(&scan, '}');
    if (in->problem)
        (void)fail_field(cx, S("row"), "%s", in->problem);
    *out = (struct upload_row){.upload_id = r->up->id,
                               .row_number = in->number,
                               .original = buf_str(&original),
                               .scan = buf_str(&scan),
                               .exception_id = out->exception_id};
    if (original.failed || scan.failed) {
        fault_clear(cx);
        out->original = out->scan = S("{}");
        if (in->problem)
            (void)fail_field(cx, S("row"), "%s", in->problem);
        else
            (void)fail_field(cx, S("row"), "is longer than %d KiB and is not kept", ROW_JSON_MAX / 1024);
        return OK;
    }
    enum err e = schema_decode(cx, &SCAN, CREATE, REFUSE_UNKNOWN, out->scan, s, NULL);
    if (e && e != ERR_INVALID)
        return e;
    out->sku = s->sku;
    out->quantity = (struct optional_int){s->quantity, s->sku.p && !cx->fault.code};
    return OK;
}

static struct str row_ref(struct ctx *cx, const struct upload *up, int64_t number) {
    return str_printf(cx->mem, "%.32s:%lld", up->digest.p, (long long)number);
}

static void decide(struct reading *r, struct ctx *cx, const struct scan *s, const struct look *look,
                   struct upload_row *row) {
    bool bad = cx->fault.code != OK;
    if (!bad && !look->place) {
        (void)fail_field(cx, S("location"),
                         "there is no place with the code %.*s that stock can be received at",
                         STR_FMT(s->location.p ? s->location : S("warehouse")));
        bad = true;
    }
    row->problems = exception_problems(cx);
    fault_clear(cx);
    bool again = !bad && s->scan_id.p && !set_add(r->cx->mem, &r->scans, s->scan_id);
    bool new = !bad && !again && !look->taken && !look->item &&set_add(r->cx->mem, &r->skus, s->sku);
    struct upload *up = r->up;
    up->total_rows++;
    if (bad) {
        row->verdict = S("rejected");
        up->to_reject++;
    } else if (again || look->taken) {
        row->verdict = S("duplicate");
        up->to_skip++;
    } else if (!uuid_is_nil(row->exception_id)) {
        row->verdict = S("repair");
        up->to_repair++;
    } else if (new) {
        row->verdict = S("create");
        up->to_create++;
    } else if (s->quantity > 0) {
        row->verdict = S("receive");
        up->to_receive++;
    } else {
        row->verdict = S("touch");
        up->to_touch++;
    }
}

struct chunk {
    struct upload_row rows[CHUNK];
    struct scan scans[CHUNK];
    struct look looks[CHUNK];
    struct fault faults[CHUNK];
    size_t n;
};

static enum err fill(struct reading *r, struct ctx *cx, struct chunk *c) {
    struct sheet_row in;
    size_t bytes = 0;
    for (c->n = 0; c->n < CHUNK && bytes < CHUNK_BYTES && sheet_next(r->sheet, &in); c->n++) {
        if (r->up->total_rows + (int64_t)c->n >= ROWS_MAX)
            return fail_field(cx, S("file"), "has more than %d rows; send it in parts", ROWS_MAX);
        fault_clear(cx);
        enum err e = make_row(r, cx, &in, &c->rows[c->n], &c->scans[c->n]);
        if (e)
            return e;
        c->faults[c->n] = cx->fault;
        bytes += c->rows[c->n].original.n;
    }
    fault_clear(cx);
    return c->n < CHUNK && bytes < CHUNK_BYTES ? sheet_end(cx, r->sheet) : OK;
}

static enum err look_up(struct reading *r, struct ctx *cx, struct chunk *c) {
    struct steps steps = {.cx = cx};
    for (size_t i = 0; i < c->n; i++) {
        const struct scan *s = &c->scans[i];
        bool own = s->scan_id.p != NULL;
        steps_add(&steps, &UPLOAD_READ_STMTS[LOOK_UP],
                  ARGS(A(s->sku), A(s->location.p ? s->location : S("warehouse")),
                       A(own ? S("scan") : S("upload")),
                       A(own ? s->scan_id : row_ref(cx, r->up, c->rows[i].row_number))),
                  &c->looks[i]);
    }
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = steps_run(&steps);
    db_read_end(cx);
    return e;
}

static enum err insert_rows(struct ctx *cx, void *arg) {
    const struct chunk *c = arg;
    struct steps steps = {.cx = cx};
    for (size_t i = 0; i < c->n; i++)
        steps_add(&steps, &UPLOAD_READ_STMTS[INSERT_ROW], args_of(cx, &UPLOAD_ROW, &c->rows[i], ARGS()),
                  NULL);
    return steps_run(&steps);
}

static enum err insert_upload(struct ctx *cx, void *arg) {
    return db_exec(cx, &UPLOAD_READ_STMTS[INSERT], args_of(cx, &UPLOAD, arg, ARGS()), NULL);
}

static enum err make_ready(struct ctx *cx, void *arg) {
    const struct upload *u = arg;
    int64_t changed;
    enum err e = db_exec(cx, &UPLOAD_READ_STMTS[READY],
                         ARGS(A(u->id), A(u->total_rows), A(u->to_create), A(u->to_receive), A(u->to_touch),
                              A(u->to_repair), A(u->to_reject), A(u->to_skip)),
                         &changed);
    return e || changed
               ? e
               : fail(cx, ERR_UNAVAILABLE, "Reading the file took longer than it may; send it in parts.");
}

static enum err make_failed(struct ctx *cx, void *arg) {
    const struct upload *u = arg;
    return db_exec(cx, &UPLOAD_READ_STMTS[FAILED], ARGS(A(u->id), A(u->problem)), NULL);
}

/* What was begun says what became of it, to who looks at the list; if that cannot be, the sweep will. */
static void tell_failure(const struct ctx *cx, struct upload *u) {
    struct ctx own = *cx;
    const struct fault *f = &cx->fault;
    own.fault = (struct fault){0};
    u->problem = f->n ? str_printf(cx->mem, "%.*s %.*s", STR_FMT(f->problems[0].field),
                                   STR_FMT(f->problems[0].problem))
                      : f->message;
    if (!u->problem.p || !u->problem.n)
        u->problem = S("It could not be read.");
    (void)!db_write_wait(&own, make_failed, u);
}

/* One piece of the file in memory of its own. */
static enum err read_chunk(struct reading *r, struct arena *mem, size_t *n) {
    struct ctx cx = *r->cx;
    cx.mem = mem;
    struct chunk *c = NEW(mem, struct chunk);
    enum err e = c ? fill(r, &cx, c) : fail(&cx, ERR_MEMORY, "The rows do not fit in memory.");
    if (!e && c->n > 0)
        e = look_up(r, &cx, c);
    for (size_t i = 0; !e && i < c->n; i++) {
        cx.fault = c->faults[i];
        decide(r, &cx, &c->scans[i], &c->looks[i], &c->rows[i]);
    }
    if (!e && c->n > 0)
        e = db_write_wait(&cx, insert_rows, c);
    *n = e ? 0 : c->n;
    if (!e)
        return OK;
    for (size_t i = 0; i < cx.fault.n; i++)
        (void)fail_field(r->cx, str_dup(r->cx->mem, cx.fault.problems[i].field), "%.*s",
                         STR_FMT(cx.fault.problems[i].problem));
    return cx.fault.n ? e : fail(r->cx, e, "%.*s", STR_FMT(cx.fault.message));
}

static enum err read_rows(struct reading *r) {
    struct arena *mem = arena_new(CHUNK_MEM);
    enum err e = mem ? OK : fail(r->cx, ERR_MEMORY, "The rows do not fit in memory.");
    for (size_t n = 1; !e && n > 0;) {
        e = read_chunk(r, mem, &n);
        arena_reset(mem);
    }
    arena_free(mem);
    return e;
}

static struct str digest(struct ctx *cx, struct str content) {
    unsigned char sum[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(sum, (const unsigned char *)content.p, content.n);
    return hex_encode(cx->mem, (struct bytes){sum, sizeof sum});
}

enum err upload_read(struct ctx *cx, const struct part *file, struct upload *out) {
    struct reading *r = NEW(cx->mem, struct reading);
    if (!r)
        return fail(cx, ERR_MEMORY, "The file does not fit in memory.");
    *out = (struct upload){.id = uuid_new(cx->now),
                           .name = str_utf8_valid(file->file_name) ? file->file_name : S("(unreadable)"),
                           .size = (int64_t)file->content.n,
                           .digest = digest(cx, file->content),
                           .state = S("reading"),
                           .created_at = cx->now,
                           .actor = cx->actor.name};
    *r = (struct reading){.cx = cx, .up = out};
    enum err e = out->digest.p ? sheet_open(cx, file->content, &r->sheet)
                               : fail(cx, ERR_MEMORY, "The file does not fit in memory.");
    if (e)
        return e;
    out->format = str_of(sheet_format(r->sheet));
    out->encoding = str_of(sheet_encoding(r->sheet));
    if ((e = read_headings(r)) || (e = db_write_wait(cx, insert_upload, out)))
        return e;
    if ((e = read_rows(r)) || (e = db_write_wait(cx, make_ready, out))) {
        tell_failure(cx, out);
        return e;
    }
    out->state = S("ready");
    return OK;
}

const struct module UPLOAD_READ_MODULE = {
    .name = "upload-read", .stmts = UPLOAD_READ_STMTS, .n_stmts = UPLOAD_READ_STMTS_N};

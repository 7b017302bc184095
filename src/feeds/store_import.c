/* `entrepot stores import FILE.csv`: the whole list at once, all rows or none. */
#include "base/charset.h"
#include "base/csv.h"
#include "base/json.h"
#include "feeds/store.h"
#include "identity/identity.h"
#include "net/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define FILE_MAX (2 << 20)

static const struct field IMPORT_FIELDS[] = {
    FIELD(struct store_import, organisation, OUT | REQUIRED, "Whose stores they are."),
    FIELD(struct store_import, stores, OUT, "How many the file has."),
    FIELD(struct store_import, created, OUT, "How many of them are new."),
    FIELD(struct store_import, changed, OUT, "How many were otherwise before."),
    FIELD(struct store_import, unchanged, OUT, "How many were so before."),
    FIELD(struct store_import, ignored, OUT, "Columns that mean nothing here."),
};
const struct schema STORE_IMPORT = SCHEMA(struct store_import, "StoreImport", IMPORT_FIELDS);

enum { CODE, NAME, ETL, REPORT, COLUMNS };
static const char *const NAMES[] = {"store_code", "store_name", "etl_flag", "report_flag"};

struct importing {
    struct ctx *cx;
    size_t at[COLUMNS]; /* the column of the file, from 0; SIZE_MAX: it has none */
    struct store *v;
    int64_t *lines; /* where each stands */
    size_t n;
    bool bad;
};

static void complain(struct importing *im, int64_t line, int column, const char *problem) {
    im->bad = true;
    (void)!fail_field(im->cx, str_printf(im->cx->mem, "line %" PRId64 ", %s", line, NAMES[column]), "%s",
                      problem);
}

static enum err read_header(struct importing *im, const struct csv_row *row, struct store_import *out) {
    struct buf ignored = buf_new(im->cx->mem, STR_MAX_DEFAULT);
    for (int k = 0; k < COLUMNS; k++)
        im->at[k] = SIZE_MAX;
    for (size_t i = 0; i < row->n; i++) {
        int k = 0;
        while (k < COLUMNS && !str_eq_nocase(str_trim(row->cells[i]), str_of(NAMES[k])))
            k++;
        if (k == COLUMNS)
            buf_printf(&ignored, "%s%.*s", ignored.n ? ", " : "", STR_FMT(str_trim(row->cells[i])));
        else if (im->at[k] != SIZE_MAX)
            complain(im, row->at.line, k, "stands there twice");
        else
            im->at[k] = i;
    }
    for (int k = 0; k < COLUMNS; k++)
        if (im->at[k] == SIZE_MAX && k != NAME)
            complain(im, row->at.line, k, "is missing in the header");
    if (ignored.n && !ignored.failed)
        out->ignored = buf_str(&ignored);
    return im->bad ? ERR_INVALID : OK;
}

static struct str cell(const struct importing *im, const struct csv_row *row, int column) {
    size_t i = im->at[column];
    return i < row->n ? str_trim(row->cells[i]) : S("");
}

static bool flag(struct importing *im, const struct csv_row *row, int column) {
    static const char *const YES[] = {"1", "true", "yes", "y"}, *const NO[] = {"0", "false", "no", "n", ""};
    struct str text = cell(im, row, column);
    for (size_t i = 0; i < sizeof(YES) / sizeof(YES[0]); i++)
        if (str_eq_nocase(text, str_of(YES[i])))
            return true;
    for (size_t i = 0; i < sizeof(NO) / sizeof(NO[0]); i++)
        if (str_eq_nocase(text, str_of(NO[i])))
            return false;
    complain(im, row->at.line, column, "must be 1 or 0");
    return false;
}

static enum err take_row(struct importing *im, const struct csv_row *row) {
    struct store s = {.etl_flag = flag(im, row, ETL), .report_flag = flag(im, row, REPORT)};
    struct str code = cell(im, row, CODE), name = cell(im, row, NAME);
    int64_t line = row->at.line;
    if (im->n == STORES_MAX)
        return fail(im->cx, ERR_INVALID, "The file has more than %d stores.", STORES_MAX);
    if (!store_code_valid(code))
        complain(im, line, CODE, "must be 1 to 64 characters of visible ASCII without space or /");
    if (str_utf8_count(name) > 200)
        complain(im, line, NAME, "must have at most 200 characters");
    if (s.report_flag && !s.etl_flag)
        complain(im, line, REPORT, STORE_REPORT_RULE);
    s.store_code = str_dup(im->cx->mem, code);
    if (name.n)
        s.store_name = str_dup(im->cx->mem, name);
    im->lines[im->n] = line;
    s.revision = (int64_t)im->n; /* its place in the file, until it is put */
    im->v[im->n++] = s;
    return OK;
}

static enum err read_rows(struct importing *im, struct str text, struct store_import *out) {
    struct csv *c = csv_over(im->cx->mem, text);
    struct csv_row row;
    enum err e = c ? OK : fail(im->cx, ERR_MEMORY, "The file does not fit in memory.");
    bool header = true;
    while (!e && csv_next(c, &row)) {
        if (row.n == 1 && str_trim(row.cells[0]).n == 0 && !row.problem)
            continue;
        if (row.problem) {
            im->bad = true;
            (void)!fail_field(im->cx, str_printf(im->cx->mem, "line %" PRId64, row.at.line), "%s",
                              row.problem);
        } else if (header) {
            e = read_header(im, &row, out);
            header = false;
        } else {
            e = take_row(im, &row);
        }
    }
    if (!e && header && !im->bad)
        return fail(im->cx, ERR_INVALID,
                    "The file is empty; it begins with store_code,store_name,etl_flag,"
                    "report_flag.");
    return e;
}

static int by_code(const void *a, const void *b) {
    const struct store *x = a, *y = b;
    int c = str_cmp(x->store_code, y->store_code);
    return c ? c : (x->revision > y->revision) - (x->revision < y->revision);
}

static void find_twice(struct importing *im) {
    for (size_t i = 1; i < im->n; i++)
        if (str_eq(im->v[i].store_code, im->v[i - 1].store_code))
            complain(im, im->lines[im->v[i].revision], CODE,
                     str_printf(im->cx->mem, "stands on line %" PRId64 " already",
                                im->lines[im->v[i - 1].revision])
                         .p);
}

static bool same(const struct store *a, const struct store *b) {
    return a->etl_flag == b->etl_flag && a->report_flag == b->report_flag &&
           str_eq(a->store_name, b->store_name);
}

/* Both sorted by code. */
static enum err put_all(struct importing *im, struct store_import *out) {
    struct list known;
    enum err e = stores_all(im->cx, &known);
    const struct store *k = known.items;
    for (size_t i = 0, j = 0; !e && i < im->n; i++) {
        while (j < known.n && str_cmp(k[j].store_code, im->v[i].store_code) < 0)
            j++;
        bool there = j < known.n && str_eq(k[j].store_code, im->v[i].store_code);
        if (there && same(&k[j], &im->v[i])) {
            out->unchanged++;
            continue;
        }
        e = store_put(im->cx, there ? &k[j] : NULL, &im->v[i]);
        *(there ? &out->changed : &out->created) += 1;
    }
    return e;
}

enum err stores_import(struct ctx *cx, struct str csv, struct store_import *out) {
    struct importing im = {.cx = cx, .v = NEW_N(cx->mem, struct store, STORES_MAX)};
    im.lines = NEW_N(cx->mem, int64_t, STORES_MAX);
    if (!im.v || !im.lines)
        return fail(cx, ERR_MEMORY, "The file does not fit in memory.");
    enum err e = read_rows(&im, csv, out);
    if (e)
        return e;
    qsort(im.v, im.n, sizeof(*im.v), by_code);
    find_twice(&im);
    if (im.bad)
        return ERR_INVALID;
    out->stores = (int64_t)im.n;
    return put_all(&im, out);
}

struct import_body {
    struct str organisation, csv;
};
static const struct field BODY_FIELDS[] = {
    FIELD(struct import_body, organisation, CREATE, "Whose, by slug or name; else the oldest.", .max = 200),
    FIELD(struct import_body, csv, CREATE | REQUIRED, "The file.", .max = FILE_MAX),
};
static const struct schema BODY = SCHEMA(struct import_body, "StoreImportFile", BODY_FIELDS);

static enum err import(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct import_body *in = rq->in;
    struct store_import done = {0};
    struct organisation org = {0};
    struct list all;
    enum err e =
        in->organisation.p ? organisation_find(cx, in->organisation, &org) : organisation_list(cx, &all);
    if (!e && !in->organisation.p) {
        if (all.n == 0)
            return fail(cx, ERR_UNAVAILABLE, "There is no organisation yet; run `entrepot seed`.");
        org = ((const struct organisation *)all.items)[0];
    }
    cx->actor.org = org.id;
    done.organisation = org.slug;
    if (e || (e = stores_import(cx, in->csv, &done)))
        return e;
    return answer_object(cx, an, 200, &STORE_IMPORT, &done);
}

static const enum err REFUSED[] = {ERR_NOT_FOUND, ERR_CONFLICT, ERR_INVALID, ERR_UNAVAILABLE, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/stores/import", WRITE, AREA_OPERATOR, NEED_WRITE, import,
          "Makes or changes the stores of a CSV file, all or none.", .in = &BODY, .in_use = CREATE,
          .out = &STORE_IMPORT, .body_max = 4 * FILE_MAX, .errors = REFUSED),
};

static enum err read_file(struct ctx *cx, struct str path, struct str *out) {
    unsigned char *text = arena_alloc(cx->mem, FILE_MAX + 1);
    const char *encoding;
    size_t n = 0;
    ssize_t got = 1;
    int fd = text ? open(str_z(cx->mem, path), O_RDONLY | O_CLOEXEC) : -1;
    while (fd >= 0 && got > 0 && n <= FILE_MAX)
        if ((got = read(fd, text + n, FILE_MAX + 1 - n)) > 0)
            n += (size_t)got;
    bool good = fd >= 0 && got >= 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (!good)
        return fail(cx, ERR_USAGE, "%.*s cannot be read: %s.", STR_FMT(path), strerror(why));
    if (n > FILE_MAX)
        return fail(cx, ERR_USAGE, "%.*s has more than %d MiB.", STR_FMT(path), FILE_MAX >> 20);
    return charset_to_utf8(cx->mem, (struct bytes){text, n}, out, &encoding) && str_utf8_valid(*out)
               ? OK
               : fail(cx, ERR_USAGE, "%.*s is no text.", STR_FMT(path));
}

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    struct buf b = buf_new(cx->mem, 8 * FILE_MAX);
    struct str text;
    bool first = true;
    enum err e = read_file(cx, line->words[0], &text);
    if (e)
        return e;
    if (memchr(text.p, '\0', text.n))
        return fail(cx, ERR_USAGE, "%.*s has a NUL character.", STR_FMT(line->words[0]));
    buf_byte(&b, '{');
    if (line->option[0].p) {
        json_put_key(&b, &first, S("organisation"));
        json_put_string(&b, line->option[0]);
    }
    json_put_key(&b, &first, S("csv"));
    json_put_string(&b, text);
    buf_byte(&b, '}');
    *target = S("/operator/stores/import");
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The file is too large.") : OK;
}

static void print(struct ctx *cx, struct str data) {
    struct store_import d;
    if (schema_decode(cx, &STORE_IMPORT, OUT, IGNORE_UNKNOWN, data, &d, NULL))
        return;
    printf("%.*s: %" PRId64 " stores read: %" PRId64 " new, %" PRId64 " changed, %" PRId64 " as before.\n",
           STR_FMT(d.organisation), d.stores, d.created, d.changed, d.unchanged);
    if (d.ignored.n)
        printf("Columns that mean nothing here: %.*s.\n", STR_FMT(d.ignored));
}

static const struct option OPTIONS[] = {
    {"org", "NAME", false, "Whose, by name or slug; else the oldest organisation's."}, {0}};
static const struct command COMMANDS[] = {
    {.name = "stores import",
     .of_rows = true,
     .words = "FILE.csv",
     .options = OPTIONS,
     .doc = "Makes or changes stores: store_code, store_name, etl_flag, report_flag; all rows or none.",
     .method = POST,
     .request = request,
     .print = print},
};

const struct module STORE_IMPORT_MODULE = {
    .name = "stores import", TABLE(routes, ROUTES), TABLE(commands, COMMANDS)};

/* One bucket: its files become one, which is looked over, judged by the guards, taken into the table,
 * audited, and removed. Where it stands is recorded with each effect; what was not recorded is done again
 * from the files, with the same outcome. */
#include "base/json.h"
#include "feeds/merge.h"
#include "feeds/run_files.h"
#include "feeds/run_parts.h"

#include <inttypes.h>
#include <string.h>

#include "base/banned.h"

/* A bucket on its way. */
struct course {
    struct running *r;
    const struct feed *feed;
    struct run_bucket *b;
    struct str merged, rejects_path, files_folder;
    struct rejects rejects;
    struct merge merge;
    struct ingest in;
    int64_t last_rows;
    int64_t not_fetched; /* stores whose file did not come */
    bool guarded;        /* a guard has stopped it */
};

static int by_code(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

bool run_in_scope(const struct running *r, struct str store_code) {
    return bsearch(&store_code, r->scope.items, r->scope.n, sizeof(struct str), by_code) != NULL;
}

static size_t store_column(const struct feed *f) {
    for (size_t i = 0; i < f->columns.n; i++)
        if (str_eq(feed_column(f, i)->name, S("store_code")))
            return i;
    return 0;
}

static int match(void *arg, struct str heading, size_t *rank) {
    return feed_header(((const struct course *)arg)->feed, heading, rank);
}

static bool in_scope(void *arg, const struct str *cells) {
    const struct course *c = arg;
    return run_in_scope(c->r, str_trim(cells[c->merge.group]));
}

/* What is the same value is the same key. A text stays; what is no value will be rejected later. */
static struct str spell(void *arg, size_t column, struct str cell, char scratch[MERGE_SCRATCH]) {
    const struct course *c = arg;
    const struct feed_column *k = feed_column(c->feed, column);
    char room[VALUE_ROOM];
    struct arg v;
    if (k->type == FEED_TEXT || value_read(k->type, ORDER_UNKNOWN, cell, room, &v) || v.kind == ARG_NULL)
        return str_trim(cell);
    int n = v.kind == ARG_STR ? snprintf(scratch, MERGE_SCRATCH, "%.*s", STR_FMT(v.s))
                              : snprintf(scratch, MERGE_SCRATCH, "%" PRId64, v.i);
    return (struct str){scratch, (size_t)n};
}

static enum err reject(struct ctx *cx, void *arg, const struct merge_reject *x) {
    struct course *c = arg;
    char reason[600]; /* there may be as many of them as rows */
    struct str name = files_name(x->file->path);
    snprintf(reason, sizeof(reason), "%.*s (%.*s)", STR_FMT(x->problem), STR_FMT(name));
    return rejects_add(cx, &c->rejects, x->at, x->column, str_of(reason), x->raw);
}

/* A row of the merged file with a bad value, by its store. */
static void count_rejected(void *arg, struct str store_code) {
    const struct course *c = arg;
    struct run_store *s = c->b->stores.items;
    for (size_t i = 0; i < c->b->stores.n; i++)
        if (str_eq(s[i].store_code, store_code)) {
            s[i].rejected_rows++;
            return;
        }
}

static enum err take_merge_counts(struct ctx *cx, struct course *c) {
    const struct merge *m = &c->merge;
    const struct merge_group *g = m->groups.items;
    struct run_bucket *b = c->b;
    struct run_store *s = NEW_N(cx->mem, struct run_store, m->groups.n + 1);
    if (!s)
        return fail(cx, ERR_MEMORY, "The counts by store do not fit in memory.");
    for (size_t i = 0; i < m->groups.n; i++)
        s[i] = (struct run_store){g[i].value.p ? g[i].value : S(""),
                                  g[i].counts.read,
                                  g[i].counts.accepted,
                                  g[i].counts.rejected,
                                  g[i].counts.duplicates,
                                  g[i].counts.skipped};
    b->stores = (struct list){s, m->groups.n};
    b->rows_read = m->counts.read;
    b->merged_rows = m->counts.accepted;
    b->rejected_rows = m->counts.rejected;
    b->duplicate_rows = m->counts.duplicates;
    b->skipped_rows = m->counts.skipped;
    return OK;
}

static struct str headings_of(struct ctx *cx, struct list of) {
    struct buf b = buf_new(cx->mem, 8000);
    for (size_t i = 0; i < of.n; i++)
        buf_printf(&b, "%s%.*s", i ? ", " : "", STR_FMT(((const struct str *)of.items)[i]));
    return b.failed ? S("many") : buf_str(&b);
}

/* What a person should know of each file. */
static void tell_files(struct course *c) {
    struct ctx *cx = c->r->cx;
    c->b->files_failed = 0;
    for (size_t i = 0; i < c->merge.n_files; i++) {
        const struct merge_file *f = &c->merge.files[i];
        struct run_event e = {.phase = "merge", .status = "warn", .bucket = c->b};
        struct str name = files_name(f->path);
        if (f->failed.p) {
            c->b->files_failed++;
            e.phase = "error";
            e.status = "error";
            e.message =
                str_printf(cx->mem, "%.*s %.*s; nothing of it was taken.", STR_FMT(name), STR_FMT(f->failed));
            run_tell(c->r, &e);
        }
        if (f->unknown.n) {
            e.message = str_printf(
                cx->mem, "%.*s has columns that the feed does not know; they are passed over: %.*s.",
                STR_FMT(name), STR_FMT(headings_of(cx, f->unknown)));
            run_tell(c->r, &e);
        }
        if (f->absent.n) {
            e.message = str_printf(cx->mem, "%.*s is without columns of the feed: %.*s.", STR_FMT(name),
                                   STR_FMT(headings_of(cx, f->absent)));
            run_tell(c->r, &e);
        }
    }
    c->b->files_read = (int64_t)c->merge.n_files - c->b->files_failed;
    c->b->files_failed += c->not_fetched;
}

static enum err set_up_merge(struct ctx *cx, struct course *c, struct list paths) {
    const struct feed *f = c->feed;
    struct merge_column *columns = NEW_N(cx->mem, struct merge_column, f->columns.n);
    struct merge_file *files = NEW_N(cx->mem, struct merge_file, paths.n);
    if (!columns || !files)
        return fail(cx, ERR_MEMORY, "The files do not fit in memory.");
    for (size_t i = 0; i < f->columns.n; i++)
        columns[i] = (struct merge_column){feed_column(f, i)->name, feed_required(feed_column(f, i))};
    for (size_t i = 0; i < paths.n; i++)
        files[i].path = ((const struct str *)paths.items)[i];
    c->merge = (struct merge){.files = files,
                              .n_files = paths.n,
                              .columns = columns,
                              .n_columns = f->columns.n,
                              .n_keys = f->n_keys,
                              .full_keys = true,
                              .out = c->merged,
                              .match = match,
                              .keep = in_scope,
                              .spell = spell,
                              .reject = reject,
                              .arg = c,
                              .grouped = true,
                              .group = store_column(f)};
    memcpy(c->merge.keys, f->keys, f->n_keys * sizeof(f->keys[0]));
    return OK;
}

/* The merged file and the rejects file, both whole, and what they came to. */
static enum err merge_files(struct ctx *cx, struct course *c, struct list paths) {
    enum err e = set_up_merge(cx, c, paths);
    rejects_begin(&c->rejects, c->rejects_path);
    if (e || (e = merge_run(cx, &c->merge))) {
        if (c->merge.files)
            tell_files(c);
        rejects_drop(cx, &c->rejects);
        return e;
    }
    if ((e = take_merge_counts(cx, c)) || (e = ingest_check(cx, &c->in, &c->rejects, count_rejected, c)) ||
        (e = rejects_end(cx, &c->rejects))) {
        rejects_drop(cx, &c->rejects);
        return e;
    }
    c->b->rejected_rows += c->in.bad;
    tell_files(c);
    return OK;
}

static enum err save_with_stores(struct ctx *cx, void *arg) {
    const struct course *c = arg;
    enum err e = run_bucket_save(cx, &c->r->lease, c->b);
    return e ? e : run_stores_save(cx, c->b);
}

static enum err save(struct ctx *cx, void *arg) {
    const struct course *c = arg;
    return run_bucket_save(cx, &c->r->lease, c->b);
}

static enum err find_last(struct ctx *cx, struct course *c) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = run_last_rows(cx, c->b, &c->last_rows);
    db_read_end(cx);
    return e;
}

/* F12: NULL, or why the bucket is not to be written before a person has looked. */
static struct str guard(struct ctx *cx, const struct course *c, const struct bulk_counts *would) {
    const struct feed_guards *g = &c->feed->guards;
    int64_t known = would->updated + would->unchanged, rows = would->inserted + known, last = c->last_rows;
    if (rows < g->min_rows.v)
        return str_printf(cx->mem, "There are %" PRId64 " rows; fewer than %" PRId64 " have to be approved.",
                          rows, g->min_rows.v);
    if (g->shrink_percent.v && last >= FEED_GUARD_ROWS &&
        (last - c->b->merged_rows) * 100 >= last * g->shrink_percent.v)
        return str_printf(cx->mem,
                          "There are %" PRId64 " rows where the last run had %" PRId64 "; %" PRId64
                          " percent fewer have to be approved.",
                          c->b->merged_rows, last, g->shrink_percent.v);
    if (g->change_percent.v && known >= FEED_GUARD_ROWS &&
        would->updated * 100 >= known * g->change_percent.v)
        return str_printf(cx->mem,
                          "%" PRId64 " of %" PRId64 " known rows would change; %" PRId64
                          " percent have to be approved.",
                          would->updated, known, g->change_percent.v);
    return (struct str){0};
}

static enum err decide(struct ctx *cx, void *arg, const struct bulk_counts *would) {
    struct course *c = arg;
    struct str why = guard(cx, c, would);
    if (why.p && !c->b->approved_by.p) {
        c->guarded = true;
        return fail(cx, ERR_CONFLICT, "%.*s", STR_FMT(why));
    }
    if (c->r->order->dry) {
        c->b->inserted_rows = would->inserted;
        c->b->updated_rows = would->updated;
        c->b->unchanged_rows = would->unchanged;
        return OK;
    }
    c->b->decided = true;
    return db_write_wait(cx, save, c);
}

/* F6: may the files go? */
static void audit(struct run_bucket *b) {
    int64_t in = b->inserted_rows + b->updated_rows + b->unchanged_rows;
    b->phase = S("ended");
    if (b->rows_read != in + b->rejected_rows + b->duplicate_rows + b->skipped_rows) {
        b->state = S("failed");
        b->message = S("The counts do not add up; the files are kept.");
    } else if (b->files_failed > 0) {
        b->state = S("failed");
        b->message = S("Some files could not be taken; the files are kept.");
    } else if (b->merged_rows != in) {
        b->state = S("warned");
        b->message = S("Not all merged rows could be taken in; the files are kept, see the rejects file.");
    } else {
        b->phase = S("cleanup");
    }
}

/* In the transaction of a piece: on top of what is recorded, because it may be run twice. */
static enum err record(struct ctx *cx, void *arg, const struct bulk_counts *did, bool last) {
    const struct course *c = arg;
    struct run_bucket now = {0};
    enum err e = run_bucket_begin(cx, &c->r->lease, c->r->run.id, c->b->bucket, &now);
    if (e)
        return e;
    now.inserted_rows += did->inserted;
    now.updated_rows += did->updated;
    now.unchanged_rows += did->unchanged;
    if (last) {
        audit(&now);
        now.finished_at = str_eq(now.phase, S("ended")) ? cx->now : (struct instant){0};
    }
    return run_bucket_save(cx, &c->r->lease, &now);
}

static enum err reload(struct ctx *cx, void *arg) {
    const struct course *c = arg;
    struct list stores = c->b->stores;
    enum err e = run_bucket_begin(cx, &c->r->lease, c->r->run.id, c->feed->name, c->b);
    c->b->stores = stores;
    return e;
}

static enum err load(struct ctx *cx, struct course *c) {
    struct run_bucket *b = c->b;
    struct bulk bulk = {.decide = b->decided ? NULL : decide,
                        .record = record,
                        .arg = c,
                        .from = b->inserted_rows + b->updated_rows + b->unchanged_rows,
                        .dry = c->r->order->dry};
    enum err e = ingest_load(cx, &c->in, c->r->run.id, &bulk);
    return e || bulk.dry ? e : db_write_wait(cx, reload, c);
}

static enum err clean_up(struct ctx *cx, struct course *c) {
    enum err e = c->r->order->from.p ? OK : files_remove(cx, c->files_folder);
    if (e || (e = files_remove(cx, c->merged)))
        return e;
    c->b->phase = S("ended");
    c->b->state = c->b->rejected_rows ? S("warned") : S("done");
    c->b->message =
        c->b->rejected_rows ? S("Some rows were rejected; see the rejects file.") : (struct str){0};
    c->b->finished_at = clock_now(cx->clock);
    return db_write_wait(cx, save, c);
}

static bool at_phase(const struct course *c, const char *phase) { return str_eq(c->b->phase, str_of(phase)); }

static void tell(struct course *c, const char *phase, int64_t began, struct str message, struct json extras) {
    bool bad = str_eq(c->b->state, S("failed")) || str_eq(c->b->state, S("stopped"));
    bool warn = str_eq(c->b->state, S("warned")) || str_eq(c->b->state, S("empty"));
    run_tell(c->r, &(struct run_event){.phase = phase,
                                       .status = bad    ? "error"
                                                 : warn ? "warn"
                                                        : "ok",
                                       .bucket = c->b,
                                       .message = message,
                                       .duration_us = clock_steady() - began,
                                       .extras = extras});
}

/* It ends here, for a reason. */
static enum err end_bucket(struct ctx *cx, struct course *c, struct str state, struct str message) {
    c->b->phase = S("ended");
    c->b->state = state;
    c->b->message = message;
    c->b->finished_at = clock_now(cx->clock);
    return c->r->order->dry ? OK : db_write_wait(cx, save, c);
}

static struct json samples(struct ctx *cx, const struct ingest *in) {
    struct buf b = buf_new(cx->mem, 65536);
    buf_add(&b, S("{\"sample\":["));
    for (size_t i = 0; i < in->n_samples; i++)
        buf_printf(&b, "%s%.*s", i ? "," : "", STR_FMT(in->samples[i].text));
    buf_add(&b, S("]}"));
    return (struct json){b.failed ? S("{}") : buf_str(&b)};
}

/* What came, by store; what lies in a folder of others is taken from there. */
static enum err take_fetched(struct ctx *cx, struct course *c, const struct fetched *f, size_t n,
                             struct list *elsewhere) {
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most += f[i].paths.n;
    struct str *paths = NEW_N(cx->mem, struct str, most + 1);
    if (!paths)
        return fail(cx, ERR_MEMORY, "The files do not fit in memory.");
    *elsewhere = (struct list){paths, 0};
    for (size_t i = 0; i < n; i++) {
        if (f[i].outcome) {
            c->not_fetched++;
            run_tell(c->r, &(struct run_event){.phase = "download",
                                               .status = "error",
                                               .bucket = c->b,
                                               .store_code = f[i].store_code,
                                               .message = f[i].problem});
        }
        for (size_t k = 0; !f[i].ours && k < f[i].paths.n; k++)
            paths[elsewhere->n++] = ((const struct str *)f[i].paths.items)[k];
    }
    return OK;
}

/* F3: a store that fails is told of, and the others go on. */
static enum err download(struct ctx *cx, struct course *c, struct list *elsewhere) {
    struct running *r = c->r;
    struct feed_server server = {0};
    struct fetched *f = NEW_N(cx->mem, struct fetched, r->stores.n + 1);
    int64_t began = clock_steady();
    enum err e = files_make_folder(cx, c->files_folder);
    if (!f)
        return fail(cx, ERR_MEMORY, "The downloads do not fit in memory.");
    if (!e && c->feed->source.kind == FEED_FROM_HTTP)
        e = feed_server_of(cx, c->feed, &server);
    struct feed_wish wish = {.feed = c->feed,
                             .server = &server,
                             .org = r->slug,
                             .day = r->order->day,
                             .folder = c->files_folder,
                             .sessions = r->sessions,
                             .job = r->job};
    if (!e && !(e = feed_download(cx, &wish, &r->stores, f, NULL, NULL)) &&
        !(e = take_fetched(cx, c, f, r->stores.n, elsewhere)))
        tell(c, "download", began, S("The files are fetched."), (struct json){0});
    return e;
}

/* The files of the bucket: of a folder that was named, or what was fetched. Where nothing could be fetched
 * but files lie there (put by hand), those are taken. */
static enum err gather(struct ctx *cx, struct course *c, struct list *paths) {
    struct list elsewhere = {0};
    const struct run_order *o = c->r->order;
    enum err e = OK;
    if (!o->from.p && c->feed->source.kind != FEED_FROM_NOWHERE)
        e = download(cx, c, &elsewhere);
    struct fault why = cx->fault;
    enum err found = files_of_feed(cx, c->r->feeds, c->feed, o->from.p ? o->from : c->files_folder, paths);
    if (found)
        return found;
    if (e && (paths->n == 0 || e != ERR_USAGE)) {
        cx->fault = why;
        return e;
    }
    fault_clear(cx);
    if (elsewhere.n)
        *paths = elsewhere;
    return OK;
}

static enum err merge_phase(struct ctx *cx, struct course *c) {
    struct list paths;
    int64_t began = clock_steady();
    enum err e = gather(cx, c, &paths);
    if (e)
        return e;
    if (paths.n == 0) {
        e = end_bucket(cx, c, S("empty"), S("There are no files of this feed."));
        tell(c, "merge", began, c->b->message, (struct json){0});
        return e;
    }
    c->b->merged_file = files_name(c->merged);
    c->b->inserted_rows = c->b->updated_rows = c->b->unchanged_rows = 0;
    if ((e = merge_files(cx, c, paths)))
        return e;
    c->b->phase = S("ingest");
    if (!c->r->order->dry && (e = db_write_wait(cx, save_with_stores, c)))
        return e;
    tell(c, "merge", began, S("The files are merged."), samples(cx, &c->in));
    return OK;
}

static enum err ingest_phase(struct ctx *cx, struct course *c) {
    int64_t began = clock_steady();
    enum err e = c->in.good ? OK : ingest_resume(cx, &c->in);
    if (!e && !c->b->decided)
        e = find_last(cx, c);
    if (!e)
        e = load(cx, c);
    if (e && c->guarded) {
        struct str why = cx->fault.message;
        fault_clear(cx);
        e = end_bucket(cx, c, S("stopped"), why);
        tell(c, "ingest", began, why, (struct json){0});
        return e;
    }
    if (e)
        return e;
    if (c->r->order->dry) {
        audit(c->b);
        c->b->phase = S("ended");
        if (str_eq(c->b->state, S("running")))
            c->b->state = S("done");
    }
    tell(c, "ingest", began,
         c->r->order->dry ? S("So it would be; nothing was written.") : S("The rows are taken in."),
         (struct json){0});
    tell(c, "audit", began, c->b->message.p ? c->b->message : S("The counts add up."), (struct json){0});
    return OK;
}

static enum err phases(struct ctx *cx, struct course *c) {
    enum err e = OK;
    if (at_phase(c, "ingest") && !files_there(cx, c->merged) && !c->b->inserted_rows && !c->b->updated_rows)
        c->b->phase = S("merge");
    if (at_phase(c, "merge"))
        e = merge_phase(cx, c);
    if (!e && at_phase(c, "ingest"))
        e = ingest_phase(cx, c);
    if (!e && at_phase(c, "cleanup") && !c->r->order->dry) {
        int64_t began = clock_steady();
        if (!(e = clean_up(cx, c)))
            tell(c, "cleanup", began, S("The files are removed."), (struct json){0});
    }
    return e;
}

/* What ends the run, and not only the bucket. */
static bool fatal(const struct running *r, enum err e) {
    return e == ERR_LEASE_LOST || e == ERR_DATABASE || atomic_load(&r->lost) ||
           (r->job && job_cancelled(r->job));
}

enum err run_bucket(struct running *r, const struct feed *feed, struct run_bucket *b) {
    struct ctx *cx = r->cx;
    struct str day = files_yyyymmdd(cx, r->order->day);
    struct course c = {.r = r, .feed = feed, .b = b};
    c.files_folder = str_printf(cx->mem, "%.*s/%.*s", STR_FMT(r->folder), STR_FMT(feed->name));
    c.merged =
        str_printf(cx->mem, "%.*s/%.*s_%.*s.csv", STR_FMT(r->folder), STR_FMT(feed->merged), STR_FMT(day));
    c.rejects_path = str_printf(cx->mem, "%.*s/rejects_%.*s_%.*s.csv", STR_FMT(r->folder),
                                STR_FMT(feed->name), STR_FMT(day));
    c.in = (struct ingest){.feed = feed, .table = run_table(cx, feed), .merged = c.merged};
    enum err e = phases(cx, &c);
    if (!e || fatal(r, e))
        return e;
    struct str why = str_printf(cx->mem, "%.*s%s%.*s", STR_FMT(cx->fault.message),
                                cx->fault.cause.p ? " " : "", STR_FMT(cx->fault.cause));
    fault_clear(cx);
    b->state = S("failed");
    run_tell(r, &(struct run_event){.phase = "error", .status = "error", .bucket = b, .message = why});
    return end_bucket(cx, &c, S("failed"), why);
}

/* `entrepot feeds download`: fetches without a run, to try a source out or to have the files. They go where a
 * run looks for them, and what is there already stays. */
#include "feeds/download.h"

#include "base/date.h"
#include "base/json.h"
#include "base/settings.h"
#include "feeds/source.h"
#include "identity/identity.h"
#include "net/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/banned.h"

#define DAY_US (86400 * US_PER_S)
#define RESULTS_MAX 100000

struct result {
    struct str bucket, store_code, status, problem;
    int64_t files, bytes, attempts, logins;
    bool resumed, kept;
};
static const char *const STATUSES[] = {"ok", "failed", NULL};
static const struct field RESULT_FIELDS[] = {
    FIELD(struct result, bucket, OUT | REQUIRED, "The feed."),
    FIELD(struct result, store_code, OUT, "The store; none for a folder that is not one store's."),
    FIELD(struct result, status, OUT | REQUIRED, "Whether its files are there.", .one_of = STATUSES),
    FIELD(struct result, files, OUT, "How many."),
    FIELD(struct result, bytes, OUT, "Of what was fetched."),
    FIELD(struct result, attempts, OUT, "How often it was tried."),
    FIELD(struct result, logins, OUT, "How often it was logged in."),
    FIELD(struct result, resumed, OUT, "It was cut off and gone on with."),
    FIELD(struct result, kept, OUT, "It was there already, and nothing was fetched."),
    FIELD(struct result, problem, OUT, "Why not."),
};
static const struct schema RESULT = SCHEMA(struct result, "FeedDownload", RESULT_FIELDS);

struct order {
    struct str organisation, bucket, store, date;
};
static const struct field ORDER_FIELDS[] = {
    FIELD(struct order, organisation, CREATE, "Whose, by slug or name; else the oldest.", .max = 200),
    FIELD(struct order, bucket, CREATE, "Only this feed.", .max = 64),
    FIELD(struct order, store, CREATE, "Only this store.", .max = 64),
    FIELD(struct order, date, CREATE, "The day, YYYY-MM-DD; today (UTC) if not said.", .max = 10),
};
static const struct schema ORDER = SCHEMA(struct order, "FeedDownloadOrder", ORDER_FIELDS);

/* One download of several feeds. */
struct downloads {
    const struct order *order;
    struct organisation org;
    bool oldest;
    int64_t day;
    struct list stores;
    struct sessions *sessions;
    struct result *v;
    size_t n;
};

bool day_parse(struct str s, int64_t *out) {
    int64_t year, month, day;
    struct str m = str_sub(s, 5, 2), d = str_sub(s, 8, 2);
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !str_int(str_sub(s, 0, 4), &year) || year < 1970)
        return false;
    m = str_starts(m, S("0")) ? str_sub(m, 1, 1) : m;
    d = str_starts(d, S("0")) ? str_sub(d, 1, 1) : d;
    if (!str_int(m, &month) || month < 1 || month > 12 || !str_int(d, &day) || day < 1 ||
        day > date_month_days(year, (int)month))
        return false;
    *out = date_days((struct date){year, (int)month, (int)day});
    return true;
}

enum err folder_make(struct ctx *cx, struct str path) {
    char *z = str_z(cx->mem, path);
    if (!z)
        return fail(cx, ERR_MEMORY, "There is no memory for a path.");
    for (char *p = z + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            (void)mkdir(z, 0700); /* whether it is there, the last one shows */
            *p = '/';
        }
    return mkdir(z, 0700) == 0 || errno == EEXIST
               ? OK
               : fail(cx, ERR_UNAVAILABLE, "The folder %s cannot be made: %s.", z, strerror(errno));
}

static struct str folder_of(struct ctx *cx, const struct downloads *d, const struct feed *f) {
    struct str base = setting_text(cx->modules->settings, "FEEDS_WORK_DIR");
    struct feed_values v = {.day = d->day};
    if (!base.n)
        base =
            str_printf(cx->mem, "%.*s/feeds", STR_FMT(setting_text(cx->modules->settings, "ENTREPOT_DATA")));
    if (!d->oldest)
        base = str_printf(cx->mem, "%.*s/%.*s", STR_FMT(base), STR_FMT(d->org.slug));
    struct str day = feed_expand(cx->mem, S("{yyyymmdd}"), &v, false);
    return str_printf(cx->mem, "%.*s/%.*s/%.*s", STR_FMT(base), STR_FMT(day), STR_FMT(f->name));
}

/* Organisation and stores, in one transaction. */
static enum err look(struct ctx *cx, struct downloads *d) {
    struct list all;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    if (!(e = organisation_list(cx, &all)) && all.n == 0)
        e = fail(cx, ERR_UNAVAILABLE, "There is no organisation yet; run `entrepot seed`.");
    if (!e && d->order->organisation.p)
        e = organisation_find(cx, d->order->organisation, &d->org);
    else if (!e)
        d->org = *(const struct organisation *)all.items;
    if (!e) {
        d->oldest = uuid_eq(d->org.id, ((const struct organisation *)all.items)->id);
        cx->actor.org = d->org.id;
        e = stores_to_ingest(cx, &d->stores);
    }
    db_read_end(cx);
    return e;
}

static enum err only_store(struct ctx *cx, struct downloads *d) {
    struct store *v = d->stores.items;
    if (!d->order->store.p)
        return OK;
    for (size_t i = 0; i < d->stores.n; i++)
        if (str_eq(v[i].store_code, d->order->store)) {
            d->stores = (struct list){&v[i], 1};
            return OK;
        }
    return fail(cx, ERR_INVALID, "%.*s is no store with etl_flag.", STR_FMT(d->order->store));
}

static void note(struct downloads *d, const struct feed *f, const struct fetched *got) {
    d->v[d->n++] = (struct result){.bucket = f->name,
                                   .store_code = got->store_code,
                                   .status = got->outcome ? S("failed") : S("ok"),
                                   .problem = got->problem,
                                   .files = (int64_t)got->paths.n,
                                   .bytes = got->bytes,
                                   .attempts = got->attempts,
                                   .logins = got->logins,
                                   .resumed = got->resumed,
                                   .kept = got->kept};
}

/* What stops one feed as a whole is its result; the others go on. */
static enum err one_feed(struct ctx *cx, struct downloads *d, const struct feed *f) {
    struct feed_server server;
    struct fetched *got = NEW_N(cx->mem, struct fetched, d->stores.n);
    struct str folder = folder_of(cx, d, f);
    if (!got || !folder.p)
        return fail(cx, ERR_MEMORY, "There is no memory for a download.");
    struct feed_wish wish = {.feed = f,
                             .server = &server,
                             .org = d->org.slug,
                             .day = d->day,
                             .folder = folder,
                             .sessions = d->sessions};
    enum err e = feed_server_of(cx, f, &server);
    if (!e)
        e = folder_make(cx, folder);
    if (!e)
        e = feed_download(cx, &wish, &d->stores, got, NULL, NULL);
    if (e) {
        const struct fetched none = {.outcome = e, .problem = cx->fault.message};
        note(d, f, &none);
        fault_clear(cx);
        return OK;
    }
    bool each = got[0].store_code.n > 0;
    for (size_t i = 0; i < (each ? d->stores.n : 1); i++)
        note(d, f, &got[i]);
    return OK;
}

static enum err all_feeds(struct ctx *cx, struct downloads *d) {
    const struct feeds *feeds = feeds_of(cx);
    const struct feed *only = d->order->bucket.p ? feed_find(feeds, d->order->bucket) : NULL;
    if (d->order->bucket.p && !only)
        return fail(cx, ERR_INVALID, "There is no feed %.*s.", STR_FMT(d->order->bucket));
    d->v = NEW_N(cx->mem, struct result, feeds->n * (d->stores.n + 1));
    enum err e = d->v ? OK : fail(cx, ERR_MEMORY, "There is no memory for a download.");
    for (size_t i = 0; !e && i < feeds->n; i++)
        if (!only || only == &feeds->v[i])
            e = one_feed(cx, d, &feeds->v[i]);
    return e;
}

static enum err download(struct ctx *cx, struct request *rq, struct answer *an) {
    struct downloads d = {.order = rq->in, .day = cx->now.us / DAY_US};
    if (d.order->date.p && !day_parse(d.order->date, &d.day))
        return fail_field(cx, S("date"), "must be a day, such as 2026-11-20");
    enum err e = look(cx, &d);
    if (e || (e = only_store(cx, &d)))
        return e;
    d.sessions = sessions_new();
    if (!d.sessions)
        return fail(cx, ERR_MEMORY, "There is no memory for a download.");
    e = all_feeds(cx, &d);
    sessions_free(d.sessions);
    return e ? e : answer_list(cx, an, &RESULT, (struct list){d.v, d.n}, 0, 0, (struct str){0});
}

static const enum err REFUSED[] = {ERR_NOT_FOUND, ERR_INVALID, ERR_UNAVAILABLE, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/feeds/download", SLOW, AREA_OPERATOR, NEED_WRITE, download,
          "Fetches the files of feeds and stores, without a run.", .in = &ORDER, .in_use = CREATE,
          .out_each = &RESULT, .errors = REFUSED),
};

enum { ORG, BUCKET, STORE_CODE, DATE };
static const struct option OPTIONS[] = {
    [ORG] = {"org", "NAME", false, "Whose, by name or slug; else the oldest organisation's."},
    [BUCKET] = {"bucket", "NAME", false, "Only this feed."},
    [STORE_CODE] = {"store", "CODE", false, "Only this store."},
    [DATE] = {"date", "YYYY-MM-DD", false, "The day; today (UTC) if not given."},
    {0}};

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    static const char *const NAMES[] = {
        [ORG] = "organisation", [BUCKET] = "bucket", [STORE_CODE] = "store", [DATE] = "date"};
    struct buf b = buf_new(cx->mem, 4096);
    bool first = true;
    buf_byte(&b, '{');
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (line->option[i].p) {
            json_put_key(&b, &first, str_of(NAMES[i]));
            json_put_string(&b, line->option[i]);
        }
    buf_byte(&b, '}');
    *target = S("/operator/feeds/download");
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The options are too long.") : OK;
}

static const struct result *read_results(struct ctx *cx, struct str data, size_t *n) {
    struct list rows = {0};
    struct fault *faults;
    *n = schema_decode_array(cx, &RESULT, OUT, data, RESULTS_MAX, &rows, &faults) ? 0 : rows.n;
    return rows.items;
}

static void print(struct ctx *cx, struct str data) {
    size_t n;
    const struct result *r = read_results(cx, data, &n);
    for (size_t i = 0; i < n; i++)
        printf("%-6.*s %-20.*s %-10.*s %12" PRId64 " bytes%s%s%s%.*s\n", STR_FMT(r[i].status),
               STR_FMT(r[i].bucket), STR_FMT(r[i].store_code), r[i].bytes, r[i].kept ? ", there already" : "",
               r[i].resumed ? ", resumed" : "", r[i].problem.n ? "  " : "", STR_FMT(r[i].problem));
}

static int judge(struct ctx *cx, struct str data) {
    size_t n;
    const struct result *r = read_results(cx, data, &n);
    for (size_t i = 0; i < n; i++)
        if (str_eq(r[i].status, S("failed")))
            return 1;
    return 0;
}

static const struct command COMMANDS[] = {
    {.name = "feeds download",
     .options = OPTIONS,
     .doc = "Fetches the files of all feeds and stores, without a run.",
     .method = POST,
     .request = request,
     .print = print,
     .judge = judge},
};

const struct module DOWNLOAD_MODULE = {
    .name = "feed downloads", TABLE(routes, ROUTES), TABLE(commands, COMMANDS)};

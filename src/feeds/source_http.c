/* One store's file by HTTP: log in, ask, go on where it was cut, try again; see source.h. */
#include "base/settings.h"
#include "feeds/part_file.h"
#include "feeds/source.h"
#include "services/http.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

#define REDIRECTS_MAX 5
#define LOGINS_MAX 3
#define PAUSE_MAX (30 * US_PER_S)
#define RETRY_AFTER_MAX (10 * 60 * US_PER_S)
#define FORM_MAX 65536

/* What one answer means for the fetch. */
enum verdict { DONE, AGAIN, LOG_IN, FAILED };

struct fetching {
    struct ctx *cx;
    const struct feed_wish *w;
    struct str url; /* of the file, on the server */
    struct part_file file;
    struct fetched *out;
    int64_t max;
    int64_t wait_us;        /* what the server asks for; 0: nothing */
    struct str page_type;   /* of an answer that is no CSV */
    bool page, large, disk; /* why the sink stopped: a page of HTML, too large, the disk */
    bool sunk;              /* the body goes to the file */
    enum err begun;         /* how the file took a new beginning */
};

static bool csv_type(const struct fetching *f, const struct http_answer *an) {
    struct str type = http_header(an, S("Content-Type")), rest;
    const struct list *types = &f->w->feed->source.types;
    (void)str_cut(type, ';', &type, &rest);
    for (size_t i = 0; i < types->n; i++)
        if (str_eq_nocase(str_trim(type), ((const struct str *)types->items)[i]))
            return true;
    return false;
}

/* RFC 9110 section 13.1.5: If-Range takes a strong ETag, or else a Last-Modified. */
static struct str validator(const struct http_answer *an) {
    struct str tag = http_header(an, S("ETag"));
    return tag.n > 2 && tag.p[0] == '"' ? tag : http_header(an, S("Last-Modified"));
}

/* "bytes 100-199/200": where the part begins. */
static bool goes_on_at(const struct http_answer *an, int64_t at) {
    struct str range = http_header(an, S("Content-Range")), from, rest;
    int64_t n;
    return str_starts(range, S("bytes ")) && str_cut(str_sub(range, 6, range.n), '-', &from, &rest) &&
           str_int(from, &n) && n == at;
}

static bool begin(void *arg, const struct http_answer *an) {
    struct fetching *f = arg;
    bool part = an->status == 206 && f->file.size > 0 && goes_on_at(an, f->file.size);
    if ((an->status != 200 && !part) || !csv_type(f, an))
        return false;
    f->begun = part ? OK : part_begin(f->cx, &f->file, validator(an));
    f->out->resumed = f->out->resumed || part;
    return f->sunk = true;
}

/* CSV does not begin like this; log-in pages do, whatever type they say they have. */
static bool looks_like_page(struct str s) {
    if (str_starts(s, S("\xEF\xBB\xBF")))
        s = str_sub(s, 3, s.n);
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
        s = str_sub(s, 1, s.n);
    return str_eq_nocase(str_sub(s, 0, 9), S("<!doctype")) || str_eq_nocase(str_sub(s, 0, 5), S("<html"));
}

static bool take(void *arg, struct str piece) {
    struct fetching *f = arg;
    if (f->begun)
        return false;
    f->page = f->file.size == 0 && looks_like_page(piece);
    f->large = f->file.size + (int64_t)piece.n > f->max;
    f->disk = !f->page && !f->large && !part_add(&f->file, piece);
    return !f->page && !f->large && !f->disk;
}

/* name=value of each Set-Cookie over what is known. Attributes are not looked at but for one: the session's
 * cookies go to the server's own origin only and live as long as the run. */
static struct str merge_cookies(struct arena *mem, struct str known, const struct http_answer *an) {
    for (size_t i = 0; i < an->n_headers; i++) {
        struct str pair = an->headers[i].value, rest, name, value, one, others = known;
        struct buf b = buf_new(mem, 8000);
        if (!str_eq_nocase(an->headers[i].name, S("Set-Cookie")))
            continue;
        (void)str_cut(pair, ';', &pair, &rest);
        if (!str_cut(pair = str_trim(pair), '=', &name, &value) || !name.n)
            continue;
        while (others.n) {
            struct str its, v;
            one = others;
            if (!str_cut(others, ';', &one, &others))
                others = (struct str){0};
            one = str_trim(one);
            if (str_cut(one, '=', &its, &v) && !str_eq(its, name))
                buf_printf(&b, "%s%.*s", b.n ? "; " : "", STR_FMT(one));
        }
        if (value.n)
            buf_printf(&b, "%s%.*s", b.n ? "; " : "", STR_FMT(pair));
        if (!b.failed)
            known = buf_str(&b);
    }
    return known;
}

static struct str cookies_of(const struct fetching *f) {
    return session_get(f->w->sessions, f->cx->mem, f->w->feed->source.server, f->w->store_code);
}

static void take_cookies(struct fetching *f, const struct http_answer *an) {
    struct str merged = merge_cookies(f->cx->mem, cookies_of(f), an);
    if (merged.p)
        session_set(f->w->sessions, f->w->feed->source.server, f->w->store_code, merged);
}

/* A request to the server, or to where it sent us; cookies go to the server alone. */
static struct http_request request_of(const struct fetching *f, struct str url, struct header *headers) {
    struct http_request rq = {.service = "Feeds",
                              .url = url,
                              .origin = f->w->server->url,
                              .headers = headers,
                              .timeout_us = f->w->feed->source.timeout_seconds.v * US_PER_S,
                              .job = f->w->job};
    struct str cookies = cookies_of(f);
    if (cookies.n && http_same_origin(f->cx->mem, url, f->w->server->url))
        headers[rq.n_headers++] = (struct header){S("Cookie"), cookies};
    return rq;
}

static struct str on_server(const struct fetching *f, struct str template) {
    struct feed_values v = {
        .store_code = f->w->store_code, .day = f->w->day, .bucket = f->w->feed->name, .org = f->w->org};
    struct str path = feed_expand(f->cx->mem, template, &v, true);
    return str_printf(f->cx->mem, "%.*s%.*s", STR_FMT(f->w->server->url), STR_FMT(path));
}

static struct str form_of(const struct fetching *f) {
    const struct feed_login *login = &f->w->feed->source.login;
    const struct feed_pair *v = login->fields.items;
    struct feed_values values = {.store_code = f->w->store_code,
                                 .day = f->w->day,
                                 .bucket = f->w->feed->name,
                                 .org = f->w->org,
                                 .user = f->w->server->user,
                                 .password = f->w->server->password};
    struct buf b = buf_new(f->cx->mem, FORM_MAX);
    for (size_t i = 0; i < login->fields.n; i++) {
        buf_add(&b, i ? S("&") : S(""));
        http_put_encoded(&b, v[i].name);
        buf_byte(&b, '=');
        http_put_encoded(&b, feed_expand(f->cx->mem, v[i].value, &values, false));
    }
    return b.failed ? (struct str){0} : buf_str(&b);
}

static enum verdict judge_failure(struct fetching *f, enum err e) {
    return e == ERR_UNAVAILABLE && !(f->w->job && job_cancelled(f->w->job)) ? AGAIN : FAILED;
}

/* A status that is neither success nor a page to follow. */
static enum verdict judge_status(struct fetching *f, const struct http_request *rq,
                                 const struct http_answer *an) {
    enum err e = http_outcome(f->cx, rq, an);
    f->wait_us = an->retry_after_us;
    if (e == ERR_SERVICE && an->status == 404)
        (void)fail(f->cx, e, "The server has no such file (404).");
    return e == ERR_RATE || e == ERR_UNAVAILABLE ? AGAIN : FAILED;
}

static enum verdict log_in(struct fetching *f) {
    const struct feed_login *login = &f->w->feed->source.login;
    struct header headers[2] = {0};
    struct http_answer an;
    if (f->out->logins == LOGINS_MAX) {
        (void)fail(f->cx, ERR_SERVICE, "A log-in page came in place of CSV, after a new log-in as well.");
        return FAILED;
    }
    session_set(f->w->sessions, f->w->feed->source.server, f->w->store_code, S(""));
    if (login->page.p) {
        struct http_request page = request_of(f, on_server(f, login->page), headers);
        enum err e = http_fetch(f->cx, &page, &an);
        if (e)
            return judge_failure(f, e);
        take_cookies(f, &an);
    }
    struct http_request rq = request_of(f, on_server(f, login->path), headers);
    headers[rq.n_headers++] = (struct header){S("Content-Type"), S("application/x-www-form-urlencoded")};
    rq.method = "POST";
    rq.body = form_of(f);
    if (!rq.body.p) {
        (void)fail(f->cx, ERR_USAGE, "The log-in form is too large.");
        return FAILED;
    }
    enum err e = http_fetch(f->cx, &rq, &an);
    if (e)
        return judge_failure(f, e);
    take_cookies(f, &an);
    if ((an.status / 100 == 3 || an.status / 100 == 2) && cookies_of(f).n) {
        f->out->logins++;
        return DONE;
    }
    if (an.status / 100 == 3 || an.status / 100 == 2) {
        (void)fail(f->cx, ERR_SERVICE, "The log-in gave no session cookie; see FEEDS_LOGINS.");
        return FAILED;
    }
    enum verdict v = judge_status(f, &rq, &an);
    if (v == FAILED)
        (void)fail(f->cx, ERR_SERVICE, "The log-in was refused (%d); see FEEDS_LOGINS.", an.status);
    return v;
}

/* A page in place of the file. Where there is a log-in, it is taken for its form. */
static enum verdict judge_page(struct fetching *f) {
    if (f->w->feed->source.has_login)
        return LOG_IN;
    (void)fail(f->cx, ERR_SERVICE, "A page of HTML came in place of CSV.");
    return FAILED;
}

static enum verdict judge_stop(struct fetching *f) {
    if (f->page)
        return judge_page(f);
    if (f->large)
        (void)fail(f->cx, ERR_TOO_LARGE, "The file is larger than the %d MB that it may have.",
                   (int)f->w->feed->source.max_megabytes.v);
    else if (f->disk)
        (void)fail(f->cx, ERR_UNAVAILABLE, "The file cannot be written: %s.", strerror(errno));
    return FAILED;
}

static enum verdict judge(struct fetching *f, const struct http_request *rq, const struct http_answer *an) {
    struct str type = http_header(an, S("Content-Type"));
    if (f->sunk)
        return DONE;
    if (an->status == 401 || (an->status == 403 && f->w->feed->source.has_login))
        return f->w->feed->source.has_login ? LOG_IN : judge_status(f, rq, an);
    if (an->status == 416 || an->status == 206) { /* it is not what we had a beginning of */
        f->begun = part_begin(f->cx, &f->file, (struct str){0});
        (void)fail(f->cx, ERR_UNAVAILABLE, "The server could not go on where it was cut.");
        return f->begun ? FAILED : AGAIN;
    }
    if (an->status != 200)
        return judge_status(f, rq, an);
    if (str_starts(type, S("text/html")) || str_starts(type, S("application/xhtml")))
        return judge_page(f);
    if (!csv_type(f, an)) {
        (void)fail(f->cx, ERR_SERVICE, "The server answered %.*s in place of CSV.",
                   STR_FMT(type.p ? str_sub(type, 0, 100) : S("something without a type")));
        return FAILED;
    }
    f->begun = part_begin(f->cx, &f->file, (struct str){0}); /* CSV without a byte */
    return f->begun ? FAILED : DONE;
}

static bool to_log_in(const struct fetching *f, struct str url) {
    const struct feed_login *login = &f->w->feed->source.login;
    struct str path, rest;
    if (!f->w->feed->source.has_login)
        return false;
    if (!str_cut(url, '?', &path, &rest))
        path = url;
    return str_eq(path, on_server(f, login->path)) ||
           (login->page.p && str_eq(path, on_server(f, login->page)));
}

/* One request for the file, with the redirects that it leads to. */
static enum verdict ask(struct fetching *f) {
    struct str url = f->url;
    for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
        struct header headers[4] = {0};
        struct http_sink sink = {.begin = begin, .take = take, .arg = f};
        struct http_request rq = request_of(f, url, headers);
        struct http_answer an;
        rq.sink = &sink;
        rq.max = 65536;
        f->page = f->large = f->disk = f->sunk = false;
        if (f->file.size > 0 && f->file.tag.p) {
            headers[rq.n_headers++] =
                (struct header){S("Range"), str_printf(f->cx->mem, "bytes=%lld-", (long long)f->file.size)};
            headers[rq.n_headers++] = (struct header){S("If-Range"), f->file.tag};
        }
        enum err e = http_fetch(f->cx, &rq, &an);
        if (f->begun || sink.stopped)
            return f->begun ? FAILED : judge_stop(f);
        if (e == ERR_TOO_LARGE && !f->sunk) { /* a long page of another type, or of an error */
            (void)fail(f->cx, ERR_SERVICE, "The server answered with something that is no CSV.");
            return FAILED;
        }
        if (e)
            return judge_failure(f, e);
        if (http_same_origin(f->cx->mem, url, f->w->server->url))
            take_cookies(f, &an);
        struct str location = http_header(&an, S("Location"));
        if (an.status / 100 != 3 || !location.n)
            return judge(f, &rq, &an);
        url = http_resolve(f->cx->mem, url, location);
        if (to_log_in(f, url))
            return LOG_IN;
    }
    (void)fail(f->cx, ERR_SERVICE, "The server redirects in a circle.");
    return FAILED;
}

/* Twice as long each time, ± 25 %, or what the server asked for; broken off when the job is to end. False
 * when that is too long to wait. */
static bool pause_before(struct fetching *f, int64_t attempt) {
    int64_t pause = setting_int(f->cx->modules->settings, "FEEDS_BACKOFF_MS") * US_PER_MS;
    for (int64_t i = 1; i < attempt && pause < PAUSE_MAX; i++)
        pause *= 2;
    pause = pause < PAUSE_MAX ? pause : PAUSE_MAX;
    pause = pause * 3 / 4 + (int64_t)randombytes_uniform((uint32_t)(pause / 2 + 1));
    if (f->wait_us > RETRY_AFTER_MAX)
        return false;
    int64_t until = clock_steady() + (f->wait_us > pause ? f->wait_us : pause);
    while (clock_steady() < until) {
        if (f->w->job && job_cancelled(f->w->job))
            return false;
        int64_t left = until - clock_steady();
        if (left > 0)
            usleep((useconds_t)(left < 100 * US_PER_MS ? left : 100 * US_PER_MS));
    }
    return true;
}

static enum err fetch(struct fetching *f) {
    const struct feed_source *source = &f->w->feed->source;
    for (int64_t attempt = 1;; attempt++) {
        enum verdict v = LOG_IN;
        f->wait_us = 0;
        if (!source->has_login || cookies_of(f).n)
            v = ask(f);
        while (v == LOG_IN) {
            fault_clear(f->cx);
            v = log_in(f);
            if (v == DONE)
                v = ask(f);
        }
        f->out->attempts = attempt;
        if (v == DONE)
            return OK;
        if (v == FAILED || attempt == source->attempts.v || !pause_before(f, attempt))
            return f->cx->fault.code ? f->cx->fault.code : ERR_UNAVAILABLE;
        fault_clear(f->cx);
    }
}

/* A name that the feed's own pattern takes again: the store's code in place of its first *. */
static struct str name_of(const struct fetching *f) {
    struct str pattern = ((const struct str *)f->w->feed->patterns.items)[0];
    struct buf b = buf_new(f->cx->mem, 1000);
    bool put = false;
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] != '*') {
            buf_byte(&b, pattern.p[i] == '?' ? '_' : pattern.p[i]);
        } else if (!put) {
            buf_add(&b, f->w->store_code);
            put = true;
        }
    }
    struct str name = buf_str(&b);
    return str_printf(f->cx->mem, "%.*s/%.*s", STR_FMT(f->w->folder), STR_FMT(name));
}

enum err source_fetch(struct ctx *cx, const struct feed_wish *w, struct str path, struct fetched *out) {
    struct fetching f = {.cx = cx, .w = w, .out = out};
    struct stat st;
    struct str *paths = NEW(cx->mem, struct str), file = name_of(&f);
    f.url = str_printf(cx->mem, "%.*s%.*s", STR_FMT(w->server->url), STR_FMT(path));
    f.max = w->feed->source.max_megabytes.v * 1000000;
    if (!paths || !file.p || !f.url.p)
        return fail(cx, ERR_MEMORY, "There is no memory for a download.");
    *paths = file;
    out->paths = (struct list){paths, 1};
    out->ours = true;
    out->kept = stat(file.p, &st) == 0;
    out->bytes = out->kept ? (int64_t)st.st_size : 0;
    if (out->kept)
        return OK;
    enum err e = part_open(cx, file, &f.file);
    if (e)
        return e;
    if ((e = fetch(&f))) {
        out->paths.n = 0;
        if (err_info(e)->retry == RETRY && f.file.size > 0)
            part_close(&f.file); /* to be gone on with */
        else
            part_drop(&f.file);
        return e;
    }
    out->bytes = f.file.size;
    if ((e = part_finish(cx, &f.file)))
        out->paths.n = 0;
    return e;
}

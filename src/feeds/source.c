#include "feeds/source.h"

#include "base/settings.h"
#include "feeds/feed_parts.h"
#include "identity/identity.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/banned.h"

#define STORE_MEMORY ((size_t)32 << 20)
#define DEPTH_MAX 16
#define FILES_MAX 100000

static const struct setting SETTINGS[] = {
    {.name = "FEEDS_SOURCES",
     .type = SETTING_LIST,
     .fallback = "",
     .doc = "Servers that feeds come from: [org:]name=https://host/path, with commas between; only these "
            "may have private addresses."},
    {.name = "FEEDS_LOGINS",
     .type = SETTING_LIST,
     .fallback = "",
     .secret = true,
     .doc = "Their log-ins: [org:]name=user:password; in FEEDS_LOGINS_FILE one a line."},
    {.name = "FEEDS_BACKOFF_MS",
     .type = SETTING_INT,
     .fallback = "1000",
     .min = 1,
     .max = 60000,
     .doc = "The pause before a download is tried again; it doubles each time."},
};
const struct module SOURCE_MODULE = {.name = "feed sources", TABLE(settings, SETTINGS)};

/* The value of "name=value" among the items of a setting that belong to the organisation; no value: none. */
static struct str item_of(const struct ctx *cx, const struct list *orgs, const char *setting,
                          struct str name) {
    struct list items = setting_list(cx->modules->settings, setting);
    const struct str *v = items.items;
    for (size_t i = 0; i < items.n; i++) {
        struct uuid org;
        struct str key, value, item = organisation_owner(orgs, v[i], &org);
        if (uuid_eq(org, cx->actor.org) && str_cut(item, '=', &key, &value) && str_eq(str_trim(key), name))
            return str_trim(value);
    }
    return (struct str){0};
}

enum err feed_server_of(struct ctx *cx, const struct feed *f, struct feed_server *out) {
    struct list orgs;
    *out = (struct feed_server){0};
    if (f->source.kind != FEED_FROM_HTTP)
        return OK;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = organisation_list(cx, &orgs);
    db_read_end(cx);
    if (e)
        return e;
    struct str login = item_of(cx, &orgs, "FEEDS_LOGINS", f->source.server);
    out->url = item_of(cx, &orgs, "FEEDS_SOURCES", f->source.server);
    while (str_ends(out->url, S("/")))
        out->url.n--;
    if (!out->url.p)
        return fail(cx, ERR_USAGE,
                    "The feed %.*s comes from the server %.*s, which FEEDS_SOURCES does not have: add"
                    " %.*s=https://….",
                    STR_FMT(f->name), STR_FMT(f->source.server), STR_FMT(f->source.server));
    if (f->source.has_login && !str_cut(login, ':', &out->user, &out->password))
        return fail(cx, ERR_USAGE, "The feed %.*s logs in to %.*s: FEEDS_LOGINS needs %.*s=user:password.",
                    STR_FMT(f->name), STR_FMT(f->source.server), STR_FMT(f->source.server));
    return OK;
}

#define COOKIES_MAX 8192
struct session {
    struct session *next;
    char key[128], cookies[COOKIES_MAX];
};
struct sessions {
    pthread_mutex_t lock;
    struct session *first;
};

struct sessions *sessions_new(void) {
    struct sessions *s = calloc(1, sizeof(*s));
    if (s)
        pthread_mutex_init(&s->lock, NULL);
    return s;
}

void sessions_free(struct sessions *s) {
    if (!s)
        return;
    for (struct session *one = s->first, *next; one; one = next) {
        next = one->next;
        explicit_bzero(one, sizeof(*one));
        free(one);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Under the lock. */
static struct session *session_of(struct sessions *s, struct str server, struct str store, bool make) {
    char key[128];
    snprintf(key, sizeof(key), "%.*s/%.*s", STR_FMT(server), STR_FMT(store));
    struct session *one = s->first;
    while (one && strcmp(one->key, key) != 0)
        one = one->next;
    if (!one && make && (one = calloc(1, sizeof(*one)))) {
        memcpy(one->key, key, sizeof(key));
        one->next = s->first;
        s->first = one;
    }
    return one;
}

struct str session_get(struct sessions *s, struct arena *mem, struct str server, struct str store) {
    pthread_mutex_lock(&s->lock);
    const struct session *one = session_of(s, server, store, false);
    struct str copy = one && one->cookies[0] ? str_dup(mem, str_of(one->cookies)) : (struct str){0};
    pthread_mutex_unlock(&s->lock);
    return copy;
}

void session_set(struct sessions *s, struct str server, struct str store, struct str cookies) {
    pthread_mutex_lock(&s->lock);
    struct session *one = session_of(s, server, store, cookies.n > 0);
    if (one)
        snprintf(one->cookies, sizeof(one->cookies), "%.*s", STR_FMT(cookies));
    pthread_mutex_unlock(&s->lock);
}

struct finding {
    struct ctx *cx;
    const struct feeds *feeds;
    const struct feed *feed;
    struct found_file *v;
    size_t n, cap;
};

static enum err found(struct finding *f, const struct feed *feed, struct str path) {
    if (f->n == FILES_MAX)
        return fail(f->cx, ERR_USAGE, "The folder has more than %d files for feeds.", FILES_MAX);
    if (f->n == f->cap) {
        struct found_file *more = NEW_N(f->cx->mem, struct found_file, f->cap ? f->cap * 2 : 64);
        if (!more)
            return fail(f->cx, ERR_MEMORY, "The folder's files do not fit in memory.");
        if (f->n)
            memcpy(more, f->v, f->n * sizeof(*more));
        f->v = more;
        f->cap = f->cap ? f->cap * 2 : 64;
    }
    f->v[f->n++] = (struct found_file){feed, path};
    return OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH_MAX */
static enum err walk(struct finding *f, struct str folder, int depth) {
    DIR *dir = opendir(str_z(f->cx->mem, folder));
    if (!dir)
        return fail(f->cx, ERR_USAGE, "The folder %.*s cannot be read: %s.", STR_FMT(folder),
                    strerror(errno));
    enum err e = OK;
    for (struct dirent *d; !e && (d = readdir(dir));) {
        struct str path = str_printf(f->cx->mem, "%.*s/%s", STR_FMT(folder), d->d_name);
        const struct feed *feed = feed_of_file(f->feeds, str_of(d->d_name));
        struct stat st;
        if (!path.p)
            e = fail(f->cx, ERR_MEMORY, "The folder's files do not fit in memory.");
        else if (d->d_name[0] == '.' || lstat(path.p, &st) < 0)
            continue;
        else if (S_ISDIR(st.st_mode))
            e = depth < DEPTH_MAX ? walk(f, path, depth + 1) : OK;
        else if (feed && (!f->feed || feed == f->feed) && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
            e = found(f, feed, path);
    }
    closedir(dir);
    return e;
}

static int by_path(const void *a, const void *b) {
    return str_cmp(((const struct found_file *)a)->path, ((const struct found_file *)b)->path);
}

enum err feed_find_files(struct ctx *cx, const struct feeds *feeds, const struct feed *feed,
                         struct str folder, struct list *out) {
    struct finding f = {.cx = cx, .feeds = feeds, .feed = feed};
    enum err e = walk(&f, folder, 0);
    if (e)
        return e;
    if (f.n)
        qsort(f.v, f.n, sizeof(*f.v), by_path);
    *out = (struct list){f.v, f.n};
    return OK;
}

static enum err take_folder(struct ctx *cx, const struct feed_wish *w, struct str folder,
                            struct fetched *out) {
    const struct feeds one = {w->feed, 1};
    struct list files;
    enum err e = feed_find_files(cx, &one, NULL, folder, &files);
    if (e)
        return e;
    if (!files.n)
        return fail(cx, ERR_SERVICE, "The folder %.*s has no file for %.*s.", STR_FMT(folder),
                    STR_FMT(w->feed->name));
    struct str *paths = NEW_N(cx->mem, struct str, files.n);
    if (!paths)
        return fail(cx, ERR_MEMORY, "The folder's files do not fit in memory.");
    for (size_t i = 0; i < files.n; i++)
        paths[i] = ((const struct found_file *)files.items)[i].path;
    out->paths = (struct list){paths, files.n};
    return OK;
}

enum err feed_fetch(struct ctx *cx, const struct feed_wish *w, struct fetched *out) {
    struct feed_values values = {
        .store_code = w->store_code, .day = w->day, .bucket = w->feed->name, .org = w->org};
    bool http = w->feed->source.kind == FEED_FROM_HTTP;
    *out = (struct fetched){.store_code = w->store_code};
    struct str path = feed_expand(cx->mem, w->feed->source.path, &values, http);
    enum err e = path.p ? OK : fail(cx, ERR_MEMORY, "The path of the source is too long.");
    if (!e)
        e = http ? source_fetch(cx, w, path, out) : take_folder(cx, w, path, out);
    out->outcome = e;
    if (e)
        out->problem = cx->fault.message;
    return e;
}

/* The stores of one download, taken by its threads one after the other. */
struct downloading {
    struct ctx *cx;
    const struct feed_wish *wish;
    const struct store *stores;
    struct fetched *out;
    size_t n, next, done;
    fetched_fn *told;
    void *arg;
    pthread_mutex_t lock;
};

/* Results outlive the memory of the thread: copied into the caller's. Under the lock. */
static void keep(struct downloading *d, size_t i, const struct fetched *f) {
    struct arena *mem = d->cx->mem;
    struct fetched copy = *f;
    struct str *paths = NEW_N(mem, struct str, f->paths.n + 1);
    for (size_t k = 0; paths && k < f->paths.n; k++)
        paths[k] = str_dup(mem, ((const struct str *)f->paths.items)[k]);
    copy.store_code = d->n && d->stores ? d->stores[i].store_code : S("");
    copy.paths = (struct list){paths, paths ? f->paths.n : 0};
    copy.problem = f->problem.p ? str_dup(mem, f->problem) : f->problem;
    if (!paths)
        copy.outcome = ERR_MEMORY;
    d->out[i] = copy;
    d->done++;
    if (d->told)
        d->told(d->arg, &d->out[i], d->done, d->n);
}

static void *work(void *arg) {
    struct downloading *d = arg;
    struct arena *mem = arena_new(STORE_MEMORY);
    pthread_mutex_lock(&d->lock);
    while (d->next < d->n) {
        size_t i = d->next++;
        struct ctx cx = *d->cx;
        struct feed_wish wish = *d->wish;
        struct fetched got = {.outcome = ERR_MEMORY, .problem = S("There is no memory for a download.")};
        pthread_mutex_unlock(&d->lock);
        cx.mem = mem;
        cx.fault = (struct fault){0};
        wish.store_code = d->stores ? d->stores[i].store_code : S("");
        if (mem)
            (void)feed_fetch(&cx, &wish, &got);
        pthread_mutex_lock(&d->lock);
        keep(d, i, &got);
        if (mem)
            arena_reset(mem);
    }
    pthread_mutex_unlock(&d->lock);
    if (mem)
        arena_free(mem);
    return NULL;
}

enum err feed_download(struct ctx *cx, const struct feed_wish *wish, const struct list *stores,
                       struct fetched *out, fetched_fn *told, void *arg) {
    const struct feed_source *source = &wish->feed->source;
    if (source->kind == FEED_FROM_NOWHERE)
        return fail(cx, ERR_UNAVAILABLE, "The feed %.*s declares no source; take its files with --from DIR.",
                    STR_FMT(wish->feed->name));
    bool each =
        source->kind == FEED_FROM_HTTP || memmem(source->path.p, source->path.n, "{store_code}", 12) != NULL;
    struct downloading d = {.cx = cx,
                            .wish = wish,
                            .stores = each ? stores->items : NULL,
                            .out = out,
                            .n = each ? stores->n : 1,
                            .told = told,
                            .arg = arg,
                            .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[32];
    size_t n = 0, wanted = (size_t)source->parallel.v;
    while (n + 1 < wanted && n + 1 < d.n && pthread_create(&threads[n], NULL, work, &d) == 0)
        n++;
    (void)work(&d); /* this thread is one of them */
    while (n-- > 0)
        pthread_join(threads[n], NULL);
    return OK;
}

#include "feeds/run_files.h"

#include "base/date.h"
#include "base/settings.h"
#include "identity/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

#define DEPTH_MAX 32

static enum err cannot(struct ctx *cx, const char *what, struct str path) {
    return fail(cx, errno == ENOSPC || errno == EIO ? ERR_UNAVAILABLE : ERR_USAGE, "%.*s cannot be %s: %s.",
                STR_FMT(path), what, strerror(errno));
}

struct str files_yyyymmdd(struct ctx *cx, int64_t day) {
    struct date d = date_of(day);
    return str_printf(cx->mem, "%04" PRId64 "%02d%02d", d.year, d.month, d.day);
}

struct str files_name(struct str path) {
    struct str head;
    while (str_cut(path, '/', &head, &path))
        ;
    return path;
}

enum err files_make_folder(struct ctx *cx, struct str path) {
    char *z = str_z(cx->mem, path);
    if (!z)
        return fail(cx, ERR_MEMORY, "The path does not fit in memory.");
    for (char *at = z + 1; *at; at++)
        if (*at == '/') {
            *at = '\0';
            if (mkdir(z, 0755) && errno != EEXIST)
                return cannot(cx, "made", str_of(z));
            *at = '/';
        }
    return mkdir(z, 0755) && errno != EEXIST ? cannot(cx, "made", path) : OK;
}

enum err files_work(struct ctx *cx, struct str *out) {
    struct str set = setting_text(cx->modules->settings, "FEEDS_WORK_DIR");
    struct list orgs;
    *out = set.n ? set
                 : str_printf(cx->mem, "%.*s/feeds",
                              STR_FMT(setting_text(cx->modules->settings, "ENTREPOT_DATA")));
    enum err e = organisation_list(cx, &orgs);
    const struct organisation *o = orgs.items;
    for (size_t i = 1; !e && i < orgs.n; i++)
        if (uuid_eq(o[i].id, cx->actor.org))
            *out = str_printf(cx->mem, "%.*s/%.*s", STR_FMT(*out), STR_FMT(o[i].slug));
    return e ? e : files_make_folder(cx, *out);
}

enum err files_lock(struct ctx *cx, struct str work, struct str run_date, int *fd, struct str *holder) {
    struct str path = str_printf(cx->mem, "%.*s/.lock_%.*s", STR_FMT(work), STR_FMT(run_date));
    char name[37] = "";
    *fd = open(str_z(cx->mem, path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*fd < 0)
        return cannot(cx, "written", path);
    if (flock(*fd, LOCK_EX | LOCK_NB)) {
        close(*fd);
        *fd = -1;
        return fail(cx, ERR_CONFLICT, "Another run of %.*s is under way.", STR_FMT(run_date));
    }
    if (pread(*fd, name, 36, 0) != 36) {
        (void)uuid_format(uuid_new(cx->now), name);
        if (pwrite(*fd, name, 36, 0) != 36 || fsync(*fd))
            return cannot(cx, "written", path);
    }
    *holder = str_dup(cx->mem, (struct str){name, 36});
    return OK;
}

struct search {
    struct ctx *cx;
    const struct feeds *feeds;
    const struct feed *feed;
    struct str *v;
    size_t n, cap;
};

static enum err found(struct search *s, struct str path) {
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct str *v = NEW_N(s->cx->mem, struct str, cap);
        if (!v)
            return fail(s->cx, ERR_MEMORY, "The files do not fit in memory.");
        if (s->n)
            memcpy(v, s->v, s->n * sizeof(*v));
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = path;
    return OK;
}

/* Names that begin with a point are not looked at. */
static enum err look_into(struct search *s, struct str folder, int depth) {
    DIR *d = opendir(str_z(s->cx->mem, folder));
    enum err e = OK;
    if (!d)
        return errno == ENOENT && depth == 0 ? OK : cannot(s->cx, "read", folder);
    for (struct dirent *at; !e && (at = readdir(d));) {
        struct stat st;
        struct str path = str_printf(s->cx->mem, "%.*s/%s", STR_FMT(folder), at->d_name);
        if (at->d_name[0] == '.' || !path.p || stat(path.p, &st))
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            e = look_into(s, path, depth + 1);
        else if (S_ISREG(st.st_mode) && feed_of_file(s->feeds, files_name(path)) == s->feed)
            e = found(s, path);
    }
    closedir(d);
    return e;
}

static int by_path(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

enum err files_of_feed(struct ctx *cx, const struct feeds *feeds, const struct feed *feed, struct str folder,
                       struct list *paths) {
    struct search s = {.cx = cx, .feeds = feeds, .feed = feed};
    enum err e = look_into(&s, folder, 0);
    if (s.n)
        qsort(s.v, s.n, sizeof(*s.v), by_path);
    *paths = (struct list){s.v, s.n};
    return e;
}

static bool sync_folder(struct ctx *cx, struct str path) {
    struct str folder = str_sub(path, 0, path.n - files_name(path).n);
    int fd = open(folder.n ? str_z(cx->mem, folder) : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

enum err files_settle(struct ctx *cx, int fd, struct str path) {
    char *to = str_z(cx->mem, path);
    struct str part = str_printf(cx->mem, "%.*s.part", STR_FMT(path));
    bool good = fsync(fd) == 0;
    good = close(fd) == 0 && good;
    if (!good || rename(part.p, to) || !sync_folder(cx, path))
        return cannot(cx, "written", path);
    return OK;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st, (void)kind, (void)ftw;
    return remove(path) && errno != ENOENT;
}

enum err files_remove(struct ctx *cx, struct str path) {
    struct stat st;
    char *z = str_z(cx->mem, path);
    if (lstat(z, &st))
        return errno == ENOENT ? OK : cannot(cx, "removed", path);
    if (nftw(z, remove_one, 16, FTW_DEPTH | FTW_PHYS) || !sync_folder(cx, path))
        return cannot(cx, "removed", path);
    return OK;
}

bool files_there(struct ctx *cx, struct str path) {
    struct stat st;
    return stat(str_z(cx->mem, path), &st) == 0;
}

/* All feeds of a folder or of the binary. */
#include "feeds/feed_parts.h"

#include "base/asset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define FEEDS_MAX 100

static enum err no_memory(struct ctx *cx) { return fail(cx, ERR_MEMORY, "The feeds do not fit in memory."); }

/* Whether one of a's patterns would take what one of b's names, as far as their texts tell. */
static bool overlap(const struct feed *a, const struct feed *b) {
    const struct str *v = a->patterns.items, *w = b->patterns.items;
    for (size_t i = 0; i < a->patterns.n; i++)
        for (size_t k = 0; k < b->patterns.n; k++)
            if (feed_matches(v[i], w[k]) || feed_matches(w[k], v[i]))
                return true;
    return false;
}

static enum err check_others(struct ctx *cx, const struct feed *all, size_t n, const struct feed *f) {
    for (size_t i = 0; i < n; i++) {
        const char *what = str_eq(all[i].name, f->name)       ? "name"
                           : str_eq(all[i].table, f->table)   ? "table"
                           : str_eq(all[i].merged, f->merged) ? "merged name"
                           : overlap(&all[i], f)              ? "files"
                                                              : NULL;
        if (what)
            return fail(cx, ERR_USAGE, "%.*s: its %s would be those of %.*s as well.", STR_FMT(f->file), what,
                        STR_FMT(all[i].file));
    }
    return OK;
}

struct loading {
    struct ctx *cx;
    struct feed *v;
    size_t n;
};

static enum err add(struct loading *l, struct str file, struct str text) {
    if (l->n == FEEDS_MAX)
        return fail(l->cx, ERR_USAGE, "There are more than %d feeds.", FEEDS_MAX);
    enum err e = feed_parse(l->cx, file, text, &l->v[l->n]);
    if (e || (e = check_others(l->cx, l->v, l->n, &l->v[l->n])))
        return e;
    l->n++;
    return OK;
}

static enum err add_shipped(struct loading *l) {
    enum err e = OK;
    for (size_t i = 0; !e && i < assets_count; i++) {
        struct str path = str_of(assets[i].path);
        if (str_starts(path, S("feeds/")))
            e = add(l, path, (struct str){(const char *)assets[i].bytes, assets[i].size});
    }
    return e;
}

static enum err unreadable(struct ctx *cx, struct str path) {
    return fail(cx, ERR_USAGE, "FEEDS_DIR: %.*s cannot be read: %s.", STR_FMT(path), strerror(errno));
}

static enum err read_file(struct ctx *cx, struct str path, struct str *out) {
    char *text = arena_alloc(cx->mem, YAML_BYTES_MAX + 2);
    int fd = text ? open(str_z(cx->mem, path), O_RDONLY | O_CLOEXEC) : -1;
    size_t n = 0;
    ssize_t got = 1;
    if (!text)
        return no_memory(cx);
    while (fd >= 0 && got > 0 && n <= YAML_BYTES_MAX)
        if ((got = read(fd, text + n, YAML_BYTES_MAX + 1 - n)) > 0)
            n += (size_t)got;
    enum err e = fd < 0 || got < 0 ? unreadable(cx, path) : OK;
    if (fd >= 0)
        close(fd);
    *out = (struct str){text, n};
    return e;
}

static int is_feed(const struct dirent *d) {
    struct str name = str_of(d->d_name);
    return name.p[0] != '.' && (str_ends(name, S(".yaml")) || str_ends(name, S(".yml")));
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum err add_folder(struct loading *l, struct str dir) {
    struct dirent **names = NULL;
    int n = scandir(str_z(l->cx->mem, dir), &names, is_feed, by_name);
    enum err e = n < 0 ? unreadable(l->cx, dir) : OK;
    for (int i = 0; i < n; i++) {
        struct str path = str_printf(l->cx->mem, "%.*s/%s", STR_FMT(dir), names[i]->d_name), text;
        if (!e && !(e = read_file(l->cx, path, &text)))
            e = add(l, path, text);
        free(names[i]);
    }
    free(names);
    return e;
}

static int by_feed(const void *a, const void *b) {
    return str_cmp(((const struct feed *)a)->name, ((const struct feed *)b)->name);
}

enum err feeds_load(struct ctx *cx, struct str dir, struct feeds *out) {
    struct loading l = {cx, NEW_N(cx->mem, struct feed, FEEDS_MAX), 0};
    if (!l.v)
        return no_memory(cx);
    enum err e = dir.n ? add_folder(&l, dir) : add_shipped(&l);
    if (e)
        return e;
    if (l.n == 0)
        return fail(cx, ERR_USAGE, "FEEDS_DIR: there is no *.yaml in %.*s.", STR_FMT(dir));
    qsort(l.v, l.n, sizeof(*l.v), by_feed);
    *out = (struct feeds){l.v, l.n};
    return OK;
}

#include "net/tree.h"

#include "net/path.h"

#include "base/banned.h"

struct node {
    struct str name;
    struct node *children, *next; /* literal ones; their siblings */
    struct node *any;             /* the one for {…} */
    struct endpoint *endpoint;
};

struct node *tree_new(struct arena *mem) {
    return NEW(mem, struct node);
}

static const struct node *child(const struct node *node, struct str name) {
    for (const struct node *c = node->children; c; c = c->next)
        if (str_eq(c->name, name))
            return c;
    return NULL;
}

static struct node *grow(struct arena *mem, struct node *node, struct str name, bool any) {
    struct node *found = any ? node->any : (struct node *)child(node, name);
    if (found)
        return found;
    struct node *fresh = NEW(mem, struct node);
    if (!fresh)
        return NULL;
    fresh->name = name;
    if (any) {
        node->any = fresh;
    } else {
        fresh->next = node->children;
        node->children = fresh;
    }
    return fresh;
}

static bool literal(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        if (!good)
            return false;
    }
    return s.n > 0;
}

static bool param(struct str s) {
    return s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}' && literal(str_sub(s, 1, s.n - 2));
}

enum err tree_add(struct ctx *cx, struct arena *mem, struct node *root, const char *path,
                  struct endpoint **out) {
    struct str segments[PATH_SEGMENTS_MAX];
    size_t n, params = 0;
    struct node *node = root;
    enum err e = path_split(cx, str_of(path), segments, &n);
    for (size_t i = 0; !e && i < n; i++) {
        bool any = param(segments[i]);
        if (!any && !literal(segments[i]))
            return fail(cx, ERR_USAGE, "The route %s has a segment that is neither a word nor {a-word}.",
                        path);
        if (any && ++params > PATH_PARAMS_MAX)
            return fail(cx, ERR_USAGE, "The route %s has more than %d parameters.", path, PATH_PARAMS_MAX);
        if (!(node = grow(mem, node, segments[i], any)))
            return fail(cx, ERR_MEMORY, "There is not enough memory for the routes.");
    }
    if (e)
        return fail(cx, ERR_USAGE, "The route %s is not a path.", path);
    if (!node->endpoint) {
        if (!(node->endpoint = NEW(mem, struct endpoint)))
            return fail(cx, ERR_MEMORY, "There is not enough memory for the routes.");
        node->endpoint->path = path;
    }
    *out = node->endpoint;
    return OK;
}

struct endpoint *tree_find(const struct node *root, const struct str *segments, size_t n,
                           struct str params[static PATH_PARAMS_MAX]) {
    const struct node *node = root;
    size_t n_params = 0;
    for (size_t i = 0; node && i < n; i++) {
        const struct node *next = child(node, segments[i]);
        /* A word under which nothing goes on this way may still be a value: /catalog/{sku}/x with the SKU
         * "ingest". */
        if ((!next || (i + 1 < n && !next->children && !next->any)) && node->any && segments[i].n > 0) {
            params[n_params++] = segments[i];
            next = node->any;
        }
        node = next;
    }
    return node ? node->endpoint : NULL;
}

/* The tree of path segments: literal children by name, and at most one for {…}. */
#ifndef NET_TREE_H
#define NET_TREE_H

#include "net/router.h"

struct node;
struct node *tree_new(struct arena *mem);
/* The endpoint at a path like "/api/v1/catalog/{sku}", made in mem if it is not there. ERR_USAGE says what is
 * wrong with the path. */
MUST_USE enum err tree_add(struct ctx *cx, struct arena *mem, struct node *root, const char *path,
                           struct endpoint **out);
/* NULL if there is none. Literal segments go before {…}. */
struct endpoint *tree_find(const struct node *root, const struct str *segments, size_t n,
                           struct str params[static PATH_PARAMS_MAX]);

#endif

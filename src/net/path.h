/* Paths and queries as they come in the request target: segments are split before they are decoded, so that
 * an encoded slash stays inside its segment. Decoded text is valid UTF-8 without NUL, or it is refused. RFC
 * 3986 section 2. */
#ifndef NET_PATH_H
#define NET_PATH_H

#include "base/ctx.h"

#define PATH_SEGMENTS_MAX 16

/* False on a broken escape, NUL or invalid UTF-8, or when memory is out. Without escapes the result is s
 * itself. plus: '+' stands for a space, as forms write it. */
bool path_decode(struct arena *mem, struct str s, bool plus, struct str *out);
/* The decoded segments of "/a/b%2Fc": ERR_MALFORMED, or ERR_NOT_FOUND when there are more than any route
 * has. */
MUST_USE enum err path_split(struct ctx *cx, struct str path, struct str segments[static PATH_SEGMENTS_MAX],
                             size_t *n);
void target_cut(struct str target, struct str *path,
                struct str *query); /* query without value if there is none */

/* Iterates "a=1&b=2": takes the next pair off query; false at the end or at a fault (look at *e). */
bool query_next(struct ctx *cx, struct str *query, struct str *name, struct str *value, enum err *e);

/* Appends one segment of a path, or one value, percent-encoded: all but RFC 3986's unreserved characters. */
void path_encode(struct buf *b, struct str value);
/* Appends "name=value&", the value percent-encoded; nothing where there is no value. */
void query_put(struct buf *b, const char *name, struct str value);

#endif

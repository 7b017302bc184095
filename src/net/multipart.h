/* multipart/form-data (RFC 7578) as browsers and curl send it: parts of a body that is there whole. Parts
 * point into the body. */
#ifndef NET_MULTIPART_H
#define NET_MULTIPART_H

#include "net/route.h"

#define PARTS_MAX 16

struct part {
    struct str name, file_name; /* file_name without value: a plain field */
    struct str content;
};

/* The boundary of a Content-Type header; no value when it is not multipart/form-data with one that holds. */
struct str multipart_boundary(struct str content_type);
/* NULL, or what is wrong. At most PARTS_MAX parts. */
const char *multipart_read(struct str boundary, struct str body, struct part parts[static PARTS_MAX],
                           size_t *n);

/* The one file of a ROUTE_FILE, in the part of this name. ERR_MALFORMED, ERR_INVALID naming the part. */
MUST_USE enum err request_file(struct ctx *cx, const struct request *rq, struct str name, struct part *out);

#endif

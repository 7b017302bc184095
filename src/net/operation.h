/* One operation of the OpenAPI document. */
#ifndef NET_OPERATION_H
#define NET_OPERATION_H

#include "net/openapi.h"

void operation_print(struct buf *b, const struct route *route);
/* "{"$ref":"#/components/schemas/item_create"}" */
void schema_reference(struct buf *b, const struct schema *s, enum use use);
struct str schema_suffix(enum use use); /* "_create", "_patch", "" */

#endif

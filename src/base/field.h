/* What a field's kind means, for the files that implement schema.h; nobody else includes this. */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include "base/schema.h"

struct limits {
    int64_t min, max;
};

size_t kind_size(enum kind k); /* of its C type; all bytes zero are "no value" */
struct limits field_limits(const struct field *f);
bool kind_takes_null(enum kind k);
/* Objects in a list that a PATCH brings are new ones: the list is replaced whole. */
enum use item_use(enum use use);

/* Reads the text of a value (the content of a JSON string, the digits of a number) of any kind but money,
 * json and list. Gives the problem for people, or no value when all is well; then *out is set. */
struct str field_take(struct arena *mem, const struct field *f, struct str text, void *out);
/* The problem, or no value, with the length of a string or JSON text and the number of items of a list. */
struct str field_check_count(struct arena *mem, const struct field *f, int64_t n, const char *one,
                             const char *many);

#endif

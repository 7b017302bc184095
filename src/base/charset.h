/* Text files as people really send them: brought to UTF-8 once, whole. UTF-8 with and without byte order
 * mark, UTF-16 of both orders with and without one, and what is none of these is read as Windows-1252, which
 * every sequence of bytes is. */
#ifndef BASE_CHARSET_H
#define BASE_CHARSET_H

#include "base/str.h"

/* encoding gets the name of what it was. Plain UTF-8 is not copied. False when memory is out, or on UTF-16
 * that is broken. */
bool charset_to_utf8(struct arena *mem, struct bytes in, struct str *out, const char **encoding);

/* The same by pieces. out has room for three bytes a byte of in, or three a unit of UTF-16; they give how
 * many were written. */
size_t charset_from_1252(struct bytes in, char *out);
/* taken gets how much of in was read: without final, half a character at its end is left. What is no UTF-16
 * (half a pair, half a unit) becomes bytes that are not UTF-8 either. */
size_t charset_from_16(struct bytes in, bool big, bool final, char *out, size_t *taken);
/* Text without a mark is UTF-16 when its first characters are ASCII in one of the two orders. */
bool charset_looks_like_16(struct bytes in, bool *big);

#endif

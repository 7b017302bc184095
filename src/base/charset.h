/* Text files as people really send them: brought to UTF-8 once, whole. UTF-8 with and without byte order
 * mark, UTF-16 of both orders with and without one, and what is none of these is read as Windows-1252, which
 * every sequence of bytes is. */
#ifndef BASE_CHARSET_H
#define BASE_CHARSET_H

#include "base/str.h"

/* encoding gets the name of what it was. Plain UTF-8 is not copied. False when memory is out, or on UTF-16
 * that is broken. */
bool charset_to_utf8(struct arena *mem, struct bytes in, struct str *out, const char **encoding);

#endif

/* Strings: a slice is a pointer and a length, never NUL-terminated by promise; a buf grows in an arena up to
 * a ceiling that its maker names. A buf that cannot grow is marked and stays marked, so that a run of appends
 * is checked once, at its end. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct str {
    const char *p; /* NULL: no value, as SQL's NULL; "" is a value */
    size_t n;
};

/* Bytes that are no text: SQL blobs, raw bodies. Same layout, another type, so that fields choose their
 * codec. */
struct bytes {
    const unsigned char *p;
    size_t n;
};

#define S(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

struct str str_of(const char *z); /* borrowed; NULL gives a slice without value */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* byte order, as memcmp and SQL's BINARY */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s);                                       /* spaces and tabs at both ends */
bool str_cut(struct str s, char at, struct str *head, struct str *tail); /* at the first; false leaves both */
struct str str_sub(struct str s, size_t from, size_t n);                 /* clipped to s */

/* Copies into mem; {NULL, 0} when memory is out. str_z adds a NUL for libraries that want one. */
struct str str_dup(struct arena *mem, struct str s);
char *str_z(struct arena *mem, struct str s);
struct str str_printf(struct arena *mem, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whole or not at all: no sign but '-', no space, no leading zeros; false leaves out untouched. */
bool str_int(struct str s, int64_t *out);
bool str_utf8_valid(struct str s);   /* RFC 3629: no surrogates, no overlong forms */
size_t str_utf8_next(struct str s);  /* length of the sequence it starts with, 0 if that is none */
size_t str_utf8_count(struct str s); /* code points of a valid string */

/* Lower-case hexadecimal and URL-safe base64 without padding (RFC 4648 section 5). Decoders take the whole
 * slice or fail; hex takes both cases. */
struct str hex_encode(struct arena *mem, struct bytes b);
bool hex_decode(struct arena *mem, struct str s, struct bytes *out);
struct str base64url_encode(struct arena *mem, struct bytes b);
bool base64url_decode(struct arena *mem, struct str s, struct bytes *out);

struct buf {
    struct arena *mem;
    char *p;
    size_t n, cap, max;
    bool failed; /* ceiling passed or memory out; content is then worthless */
};

struct buf buf_new(struct arena *mem, size_t max);
void buf_add(struct buf *b, struct str s);
void buf_byte(struct buf *b, char c);
void buf_int(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline struct str buf_str(const struct buf *b) { return (struct str){b->p ? b->p : "", b->n}; }

#endif

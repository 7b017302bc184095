/* JSON (RFC 8259) on slices: a pull reader that checks while it goes, and writing helpers. No document tree.
 *
 * Where the standard leaves a choice: the text is UTF-8 without a byte order mark; duplicate keys in an
 * object, the character U+0000 (SQL text cannot hold it), lone surrogates and nesting beyond JSON_DEPTH_MAX
 * are refused; a number is any text that fits the grammar, however large, and its reader decides. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/str.h"

/* libjansson, which the JWT library uses, has functions of these two names; a program's own would take their
 * place there too, so ours are linked under others. */
#define json_string json_read_string
#define json_null json_read_null

struct json_reader {
    struct arena *mem; /* for strings with escapes */
    const char *start, *p, *end;
    int depth;
    const char *problem; /* why it stopped at p, NULL while all is well; sticky */
    bool out_of_memory;  /* the problem is ours, not the text's */
};

#define JSON_DEPTH_MAX 64

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_BAD };

void json_begin(struct json_reader *r, struct arena *mem, struct str text);
bool json_end(struct json_reader *r);                       /* only white space is left, and no problem */
bool json_stop(struct json_reader *r, const char *problem); /* sets the first problem; returns false */
bool json_stop_for_memory(struct json_reader *r);
enum json_type json_peek(struct json_reader *r);
/* Each reads one value whole and returns false, with the problem set, when it is not of that form. */
bool json_string(struct json_reader *r, struct str *out); /* unescaped, valid UTF-8, no lone surrogate */
bool json_number(struct json_reader *r, struct str *out); /* its text */
bool json_bool(struct json_reader *r, bool *out);
bool json_null(struct json_reader *r);
bool json_skip(struct json_reader *r, struct str *raw); /* any value; duplicate keys inside are a problem */
/* Iteration: json_enter reads '{' or '['; json_next returns true while another member or item follows (for
 * objects key gets its name), and reads the closing bracket when it returns false. */
bool json_enter(struct json_reader *r, enum json_type type);
bool json_next(struct json_reader *r, struct str *key, bool *first); /* key NULL: an array */

/* The keys of one object, gathered to find the same one twice. Zeroed to begin with. */
struct json_keys {
    struct str *list;
    size_t n, cap;
};
bool json_keys_add(struct json_reader *r, struct json_keys *keys, struct str key);
bool json_keys_check(struct json_reader *r, struct json_keys *keys); /* at the object's end; sorts them */
#define JSON_KEY_TWICE "an object has the same key twice"

void json_put_string(struct buf *b, struct str s);             /* quoted and escaped; no value gives null */
void json_put_key(struct buf *b, bool *first, struct str key); /* comma when needed, "key": */

#endif

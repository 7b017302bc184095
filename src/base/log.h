/* Log: JSON lines to standard output and, if set, to a file. Called at the edges only. Values of secrets are
 * never passed in; e-mail addresses and tokens in texts are redacted on the way out. Thread-safe: a line is
 * one write. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/ctx.h"

enum level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log;
/* file NULL: standard output only; else it is moved to FILE.1 when it would pass rotate_bytes (0: never).
 * NULL with errno set when the file cannot be opened. */
struct log *log_new(enum level least, const char *file, int64_t rotate_bytes);
void log_free(struct log *l);
bool level_parse(struct str s, enum level *out);

struct log_field {
    const char *key;
    struct str text; /* when p is set */
    int64_t number;  /* else */
};
#define LOG_STR(k, v) \
    { .key = (k), .text = (v) }
#define LOG_INT(k, v) \
    { .key = (k), .number = (v) }

/* logger names the module. Adds ts, level, logger, message, request_id and org of the context, then the
 * fields, whose texts are all redacted. */
void log_write(struct ctx *cx, enum level level, const char *logger, struct str message,
               const struct log_field *fields, size_t n);
#define LOG(cx, level, logger, message, ...)                                                    \
    log_write((cx), (level), (logger), (message), (struct log_field[]){{0}, ##__VA_ARGS__} + 1, \
              sizeof((struct log_field[]){{0}, ##__VA_ARGS__}) / sizeof(struct log_field) - 1)
/* The context's fault with code, message and cause. */
void log_fault(struct ctx *cx, enum level level, const char *logger, struct str message);

#endif

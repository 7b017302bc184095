#include "base/log.h"

#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

#define LINE_MAX_BYTES 65536
#define SHORT_MESSAGE 1000

struct log {
    enum level least;
    char *file; /* NULL: standard output only */
    int64_t rotate_bytes, size;
    int fd;
    pthread_mutex_t lock; /* of fd and size: a line may be the one that rotates the file */
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

bool level_parse(struct str s, enum level *out) {
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (str_eq_nocase(s, str_of(level_names[i]))) {
            *out = (enum level)i;
            return true;
        }
    }
    if (!str_eq_nocase(s, S("warning")))
        return false;
    *out = LOG_WARN;
    return true;
}

static bool open_file(struct log *l) {
    struct stat st;
    int fd = open(l->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return false;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = fd;
    l->size = fstat(fd, &st) == 0 ? st.st_size : 0;
    return true;
}

struct log *log_new(enum level least, const char *file, int64_t rotate_bytes) {
    struct log *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    *l = (struct log){.least = least, .rotate_bytes = rotate_bytes, .fd = -1};
    pthread_mutex_init(&l->lock, NULL);
    l->file = file ? strdup(file) : NULL;
    if (file && (!l->file || !open_file(l))) {
        int problem = errno;
        log_free(l);
        errno = problem;
        return NULL;
    }
    return l;
}

void log_free(struct log *l) {
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    pthread_mutex_destroy(&l->lock);
    free(l->file);
    free(l);
}

/* A line that cannot be written is lost: there is nowhere to report it. */
static void write_line(int fd, struct str line) {
    while (write(fd, line.p, line.n) < 0 && errno == EINTR)
        ;
}

/* When the old file cannot be put away, the log goes on in it. */
static void rotate(struct log *l) {
    char aside[4096];
    int n = snprintf(aside, sizeof aside, "%s.1", l->file);
    if (n > 0 && (size_t)n < sizeof aside && rename(l->file, aside) == 0)
        open_file(l);
}

static void write_file(struct log *l, struct str line) {
    pthread_mutex_lock(&l->lock);
    if (l->rotate_bytes > 0 && l->size > 0 && l->size + (int64_t)line.n > l->rotate_bytes)
        rotate(l);
    write_line(l->fd, line);
    l->size += (int64_t)line.n;
    pthread_mutex_unlock(&l->lock);
}

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '.' || c == '_';
}

/* Bytes beyond ASCII count: addresses may hold them (RFC 6531). */
static bool is_local_part(char c) { return is_word(c) || c == '+' || c == '%' || (unsigned char)c >= 0x80; }

static bool is_token(char c) { return is_word(c) || c == '+' || c == '/' || c == '~' || c == '='; }

/* How many bytes at the start of s are a bearer token with its scheme, or a bare JWT, whose header begins
 * with {". */
static size_t token_length(struct str s, size_t *shown) {
    size_t n = 0;
    *shown = 0;
    if (str_eq_nocase(str_sub(s, 0, 7), S("bearer ")))
        n = *shown = 7;
    else if (!str_starts(s, S("eyJ")))
        return 0;
    while (n < s.n && is_token(s.p[n]))
        n++;
    return n > *shown ? n : 0;
}

/* The e-mail address around the @ at s[at]: how far it reaches back and on; false if it is none. */
static bool address_around(struct str s, size_t at, size_t least, size_t *from, size_t *to) {
    for (*from = at; *from > least && is_local_part(s.p[*from - 1]);)
        --*from;
    for (*to = at + 1; *to < s.n && (is_word(s.p[*to]) || (unsigned char)s.p[*to] >= 0x80);)
        ++*to;
    return *from<at && * to> at + 1;
}

static void put_redacted(struct buf *line, struct arena *mem, struct str s) {
    struct buf b = buf_new(mem, LINE_MAX_BYTES);
    size_t done = 0, from, to, shown;
    if (!s.p) {
        json_put_string(line, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        size_t token = i == 0 || !is_word(s.p[i - 1]) ? token_length(str_sub(s, i, s.n), &shown) : 0;
        if (token) {
            buf_add(&b, str_sub(s, done, i + shown - done));
            buf_add(&b, S("[token]"));
            done = i + token;
            i = done - 1;
        } else if (s.p[i] == '@' && address_around(s, i, done, &from, &to)) {
            buf_add(&b, str_sub(s, done, from - done));
            buf_add(&b, S("[email]"));
            done = to;
            i = done - 1;
        }
    }
    buf_add(&b, str_sub(s, done, s.n));
    line->failed = line->failed || b.failed;
    json_put_string(line, buf_str(&b));
}

static void put_text(struct buf *line, struct arena *mem, bool *first, const char *key, struct str text) {
    json_put_key(line, first, str_of(key));
    put_redacted(line, mem, text);
}

static struct str make_line(const struct ctx *cx, struct arena *mem, enum level level, const char *logger,
                            struct str message, const struct log_field *fields, size_t n) {
    struct buf line = buf_new(mem, LINE_MAX_BYTES);
    char text[40];
    bool first = true;
    buf_byte(&line, '{');
    json_put_key(&line, &first, S("ts"));
    json_put_string(&line, instant_format(cx->clock ? clock_now(cx->clock) : cx->now, text));
    json_put_key(&line, &first, S("level"));
    json_put_string(&line, str_of(level_names[level]));
    json_put_key(&line, &first, S("logger"));
    json_put_string(&line, str_of(logger));
    put_text(&line, mem, &first, "message", message);
    if (cx->request_id.n)
        put_text(&line, mem, &first, "request_id", cx->request_id);
    if (!uuid_is_nil(cx->actor.org)) {
        json_put_key(&line, &first, S("org"));
        json_put_string(&line, uuid_format(cx->actor.org, text));
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].text.p) {
            put_text(&line, mem, &first, fields[i].key, fields[i].text);
        } else {
            json_put_key(&line, &first, str_of(fields[i].key));
            buf_int(&line, fields[i].number);
        }
    }
    buf_add(&line, S("}\n"));
    return line.failed ? (struct str){NULL, 0} : buf_str(&line);
}

void log_write(struct ctx *cx, enum level level, const char *logger, struct str message,
               const struct log_field *fields, size_t n) {
    struct log *l = cx->log;
    if (!l || level < l->least)
        return;
    /* Not the context's arena: the reason for the line may be that it is full. */
    struct arena *mem = arena_new((size_t)LINE_MAX_BYTES * 4);
    if (!mem)
        return;
    struct str line = make_line(cx, mem, level, logger, message, fields, n);
    if (!line.p) {
        arena_reset(mem);
        line = make_line(cx, mem, level, logger, str_sub(message, 0, SHORT_MESSAGE), NULL, 0);
    }
    if (line.p) {
        write_line(STDOUT_FILENO, line);
        if (l->file)
            write_file(l, line);
    }
    arena_free(mem);
}

void log_fault(struct ctx *cx, enum level level, const char *logger, struct str message) {
    const struct fault *f = &cx->fault;
    const struct log_field fields[] = {
        LOG_STR("code", f->code ? str_of(err_info(f->code)->code) : S("ok")),
        LOG_STR("problem", f->message.p ? f->message : S("")),
        LOG_STR("cause", f->cause.p ? f->cause : S("")),
    };
    log_write(cx, level, logger, message, fields, f->cause.p ? 3 : 2);
}

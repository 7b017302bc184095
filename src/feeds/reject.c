#include "feeds/reject.h"

#include "feeds/run_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define FLUSH_AT ((size_t)64 << 10)
#define TEXT_MAX ((size_t)64 << 20)

void rejects_begin(struct rejects *r, struct str path) { *r = (struct rejects){.path = path, .fd = -1}; }

static enum err cannot_write(struct ctx *cx, const struct rejects *r) {
    return fail(cx, ERR_UNAVAILABLE, "%.*s cannot be written: %s.", STR_FMT(r->path), strerror(errno));
}

static enum err begin_file(struct ctx *cx, struct rejects *r) {
    struct str part = str_printf(cx->mem, "%.*s.part", STR_FMT(r->path));
    r->fd = open(part.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (r->fd < 0)
        return cannot_write(cx, r);
    r->text = buf_new(cx->mem, TEXT_MAX);
    buf_add(&r->text, S("line,byte_offset,column,reason,raw\n"));
    return OK;
}

static enum err flush(struct ctx *cx, struct rejects *r) {
    struct str s = buf_str(&r->text);
    if (r->text.failed)
        return fail(cx, ERR_MEMORY, "A rejected row does not fit in memory.");
    while (s.n > 0) {
        ssize_t n = write(r->fd, s.p, s.n);
        if (n < 0 && errno != EINTR)
            return cannot_write(cx, r);
        s = str_sub(s, n > 0 ? (size_t)n : 0, s.n);
    }
    r->text.n = 0;
    return OK;
}

enum err rejects_add(struct ctx *cx, struct rejects *r, struct csv_place at, struct str column,
                     struct str reason, struct str raw) {
    enum err e = r->fd < 0 ? begin_file(cx, r) : OK;
    if (e)
        return e;
    buf_printf(&r->text, "%" PRId64 ",%" PRId64 ",", at.line, at.offset);
    csv_put(&r->text, column, false);
    buf_byte(&r->text, ',');
    csv_put(&r->text, reason, false);
    buf_byte(&r->text, ',');
    csv_put(&r->text, raw, false);
    buf_byte(&r->text, '\n');
    r->n++;
    return r->text.n >= FLUSH_AT ? flush(cx, r) : OK;
}

enum err rejects_end(struct ctx *cx, struct rejects *r) {
    if (r->fd < 0)
        return files_remove(cx, r->path);
    enum err e = flush(cx, r);
    int fd = r->fd;
    r->fd = -1;
    if (e)
        close(fd);
    return e ? e : files_settle(cx, fd, r->path);
}

void rejects_drop(struct ctx *cx, struct rejects *r) {
    (void)cx;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

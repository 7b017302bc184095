#include "feeds/part_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

#define TAG_MAX 512

static enum err refused(struct ctx *cx, struct str path) {
    return fail(cx, ERR_UNAVAILABLE, "%.*s cannot be written: %s.", STR_FMT(path), strerror(errno));
}

static bool put(int fd, struct str piece) {
    while (piece.n) {
        ssize_t n = write(fd, piece.p, piece.n);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            piece = str_sub(piece, (size_t)n, piece.n);
    }
    return true;
}

static struct str read_tag(struct ctx *cx, struct str path) {
    char text[TAG_MAX];
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
    if (fd >= 0)
        close(fd);
    return n > 0 && n < TAG_MAX ? str_dup(cx->mem, (struct str){text, (size_t)n}) : (struct str){0};
}

enum err part_open(struct ctx *cx, struct str path, struct part_file *out) {
    struct part_file f = {0};
    struct stat st;
    f.path = (struct str){str_z(cx->mem, path), path.n};
    f.part = str_printf(cx->mem, "%.*s.part", STR_FMT(path));
    f.tag_path = str_printf(cx->mem, "%.*s.tag", STR_FMT(path));
    if (!f.path.p || !f.part.p || !f.tag_path.p)
        return fail(cx, ERR_MEMORY, "There is no memory for a download.");
    f.fd = open(f.part.p, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (f.fd < 0)
        return refused(cx, f.part);
    f.tag = read_tag(cx, f.tag_path);
    f.size = fstat(f.fd, &st) == 0 ? (int64_t)st.st_size : 0;
    *out = f;
    return f.size > 0 && !f.tag.p ? part_begin(cx, out, f.tag) : OK;
}

/* The old tag goes before the bytes that it stands for, and the new one is there before new bytes are. */
enum err part_begin(struct ctx *cx, struct part_file *f, struct str tag) {
    if ((unlink(f->tag_path.p) < 0 && errno != ENOENT) || ftruncate(f->fd, 0) < 0)
        return refused(cx, f->part);
    f->size = 0;
    f->tag = tag.n && tag.n < TAG_MAX ? str_dup(cx->mem, tag) : (struct str){0};
    if (!f->tag.p)
        return OK;
    int fd = open(f->tag_path.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && put(fd, f->tag);
    if (fd >= 0)
        close(fd);
    return good ? OK : refused(cx, f->tag_path);
}

bool part_add(struct part_file *f, struct str piece) {
    if (!put(f->fd, piece))
        return false;
    f->size += (int64_t)piece.n;
    return true;
}

/* A name in a folder is safe when the folder is synced. */
static bool sync_folder(struct ctx *cx, struct str path) {
    size_t n = path.n;
    while (n > 0 && path.p[n - 1] != '/')
        n--;
    char *folder = n ? str_z(cx->mem, str_sub(path, 0, n)) : NULL;
    int fd = open(folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

enum err part_finish(struct ctx *cx, struct part_file *f) {
    if (fsync(f->fd) < 0 || rename(f->part.p, f->path.p) < 0 || !sync_folder(cx, f->path)) {
        enum err e = refused(cx, f->path);
        part_drop(f);
        return e;
    }
    part_close(f);
    (void)unlink(f->tag_path.p);
    return OK;
}

void part_close(struct part_file *f) {
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

void part_drop(struct part_file *f) {
    part_close(f);
    (void)unlink(f->part.p);
    (void)unlink(f->tag_path.p);
}

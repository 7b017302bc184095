#include "app/remote.h"

#include "net/router.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/banned.h"

#define ANSWER_MAX ((size_t)64 << 20)

static void close_fd(const int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static bool send_all(int fd, struct str s) {
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = str_sub(s, (size_t)n, s.n);
    }
    return true;
}

static bool receive_all(int fd, struct buf *out) {
    char chunk[16384];
    for (;;) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && !out->failed;
        buf_add(out, (struct str){chunk, (size_t)n});
    }
}

/* "HTTP/1.1 200 OK", head, empty line, body: the server closes after it, as asked. */
static bool split(struct str all, int64_t *status, struct str *body) {
    const char *end = all.n ? memmem(all.p, all.n, "\r\n\r\n", 4) : NULL;
    if (!end || all.n < 12 || !str_starts(all, S("HTTP/1.")) || !str_int(str_sub(all, 9, 3), status))
        return false;
    size_t head = (size_t)(end - all.p) + 4;
    *body = str_sub(all, head, all.n - head);
    return true;
}

enum err remote_call(struct ctx *cx, struct str data, enum method method, struct str target, struct str body,
                     bool *there, int64_t *status, struct str *answer) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct str path = str_printf(cx->mem, "%.*s/entrepot.sock", STR_FMT(data));
    *there = false;
    if (path.n >= sizeof(at.sun_path))
        return fail(cx, ERR_USAGE, "The path of the data folder is too long for a socket.");
    memcpy(at.sun_path, path.p, path.n);
    int fd __attribute__((cleanup(close_fd))) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        return OK;
    *there = true;
    struct str head = str_printf(cx->mem,
                                 "%s %.*s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                                 METHOD_NAMES[method], STR_FMT(target), body.n);
    struct buf all = buf_new(cx->mem, ANSWER_MAX);
    if (!send_all(fd, head) || !send_all(fd, body) || !receive_all(fd, &all) ||
        !split(buf_str(&all), status, answer))
        return fail(cx, ERR_UNAVAILABLE, "The running server did not answer; its log says why.");
    return OK;
}

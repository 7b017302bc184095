#include "net/server.h"

#include "net/exchange.h"
#include "net/links.h"
#include "net/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/banned.h"

#define BACKLOG 1024
#define IDLE_S 30 /* without a byte in either direction */
#define CONNECTIONS_MAX 4096
#define FILES_KEPT 128 /* descriptors for everything but connections */
#define SLOW_THREADS 4
#define SLOW_WAITING 128
#define READ_THREADS 8
#define READ_WAITING 1024
#define LAST_ANSWERS_US (US_PER_S / 2)
#define THREADS_MAX 4
#define DOORS_MAX (THREADS_MAX + 1)

struct server {
    struct site site;
    struct door doors[DOORS_MAX];
    size_t n_doors;
    struct links *links;
    int64_t port;
    char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static int listen_net(struct ctx *cx, struct str host, int64_t port, int64_t *got) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
                    *list = NULL;
    char service[16];
    snprintf(service, sizeof(service), "%lld", (long long)port);
    char *name = str_z(cx->mem, host);
    int wrong = name ? getaddrinfo(name, service, &hints, &list) : EAI_MEMORY;
    if (wrong) {
        fail(cx, ERR_USAGE, "HOST %.*s: %s.", STR_FMT(host), gai_strerror(wrong));
        return -1;
    }
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                bind(fd, list->ai_addr, list->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    freeaddrinfo(list);
    struct sockaddr_storage at;
    socklen_t n = sizeof(at);
    if (!good || getsockname(fd, (struct sockaddr *)&at, &n) != 0) {
        fail(cx, ERR_USAGE, "Cannot listen on %.*s port %lld: %s.", STR_FMT(host), (long long)port,
             strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    const struct sockaddr_in *v4 = (const void *)&at;
    const struct sockaddr_in6 *v6 = (const void *)&at;
    *got = ntohs(at.ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port);
    return fd;
}

static bool answers(const struct sockaddr_un *at) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0;
    if (fd >= 0)
        close(fd);
    return there;
}

/* Nobody can connect before listen, so its mode is right from the first moment. */
static int listen_socket(struct ctx *cx, struct server *s, struct str path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (path.n >= sizeof(at.sun_path)) {
        fail(cx, ERR_USAGE, "The path of the socket, %.*s, is longer than %zu bytes.", STR_FMT(path),
             sizeof(at.sun_path) - 1);
        return -1;
    }
    memcpy(at.sun_path, path.p, path.n);
    if (answers(&at)) {
        fail(cx, ERR_USAGE, "Another server uses this data folder; give each its own ENTREPOT_DATA.");
        return -1;
    }
    unlink(at.sun_path); /* of a process that was killed */
    memcpy(s->socket_path, at.sun_path, sizeof(at.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && chmod(at.sun_path, 0600) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    fail(cx, ERR_USAGE, "Cannot listen on %.*s: %s.", STR_FMT(path), strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Paths are decoded by net/path.h, segment by segment; the library must leave them alone. */
static size_t leave_escapes(void *arg, struct MHD_Connection *connection, char *s) {
    (void)arg;
    (void)connection;
    return strlen(s);
}

static unsigned connections_max(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= CONNECTIONS_MAX + FILES_KEPT)
        return CONNECTIONS_MAX;
    return files.rlim_cur > 2 * FILES_KEPT ? (unsigned)files.rlim_cur - FILES_KEPT : FILES_KEPT;
}

static struct MHD_Daemon *start_daemon(struct door *door, int fd, unsigned connections) {
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0, NULL, NULL, exchange_handle, door,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, exchange_target, door,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, door, MHD_OPTION_NOTIFY_CONNECTION, links_notify,
        door, MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, NULL, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_END);
    if (!d)
        close(fd);
    return d;
}

/* Takes fd over, also when it fails; each thread has a descriptor of its own of the one socket. */
static bool open_doors(struct server *s, enum origin origin, int fd, unsigned threads) {
    for (unsigned i = 0; i < threads; i++) {
        struct door *door = &s->doors[s->n_doors];
        int own = i + 1 < threads ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : fd;
        *door = (struct door){.site = &s->site, .origin = origin, .links = s->links};
        struct MHD_Daemon *d = own >= 0 ? start_daemon(door, own, connections_max() / threads) : NULL;
        if (!d || !loop_start(d, &s->site.suspended, &door->loop)) {
            if (own != fd)
                close(fd);
            return false;
        }
        s->n_doors++;
    }
    return true;
}

static unsigned http_threads(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

static void release(struct server *s) {
    pulse_stop(s->site.router->pulse);
    s->site.router->pulse = NULL;
    pool_free(s->site.slow);
    pool_free(s->site.reads);
    links_free(s->links);
    if (s->socket_path[0])
        unlink(s->socket_path);
    free(s);
}

static enum err prepare(struct ctx *cx, struct server *s, struct router *r) {
    s->site.router = r;
    s->site.reads_inline = db_reads_inline(r->setup.db);
    s->site.slow = pool_new(SLOW_THREADS, SLOW_WAITING);
    s->site.reads = s->site.reads_inline ? NULL : pool_new(READ_THREADS, READ_WAITING);
    s->links = links_new();
    r->pulse = pulse_start(cx);
    bool reads = s->site.reads || s->site.reads_inline;
    return s->site.slow && reads && s->links && r->pulse
               ? OK
               : fail(cx, ERR_UNAVAILABLE, "There is not enough memory for the server's threads.");
}

static enum err listen_both(struct ctx *cx, struct server *s, struct str host, int64_t port,
                            struct str socket_path) {
    if (socket_path.n > 0) {
        int fd = listen_socket(cx, s, socket_path);
        if (fd < 0)
            return cx->fault.code;
        if (!open_doors(s, ORIGIN_SOCKET, fd, 1))
            return fail(cx, ERR_UNAVAILABLE, "The server on %.*s could not be started.",
                        STR_FMT(socket_path));
    }
    int fd = listen_net(cx, host, port, &s->port);
    if (fd < 0)
        return cx->fault.code;
    if (!open_doors(s, ORIGIN_NET, fd, http_threads()))
        return fail(cx, ERR_UNAVAILABLE, "The server on port %lld could not be started.", (long long)s->port);
    return OK;
}

enum err server_start(struct ctx *cx, struct router *r, struct str host, int64_t port, struct str socket_path,
                      struct server **out) {
    struct server *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(cx, ERR_MEMORY, "There is not enough memory for the server.");
    enum err e = prepare(cx, s, r);
    if (!e)
        e = listen_both(cx, s, host, port, socket_path);
    if (e) {
        server_stop(s, 0);
        return e;
    }
    *out = s;
    return OK;
}

int64_t server_port(const struct server *s) { return s->port; }

/* Waits until a count is zero or time is up. */
static void wait_for_none(_Atomic int64_t *count, int64_t until) {
    while (atomic_load(count) > 0) {
        if (clock_steady() >= until)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 2 * 1000 * 1000}, NULL);
    }
}

void server_stop(struct server *s, int64_t grace_us) {
    _Atomic int64_t *in_flight = &s->site.router->in_flight;
    atomic_store(&s->site.draining, true);
    for (size_t i = 0; i < s->n_doors; i++)
        loop_quiesce(s->doors[i].loop);
    wait_for_none(in_flight, clock_steady() + grace_us);
    /* A suspended request belongs to another thread, which will hand it back; the library must not end
     * before, and idle connections may bring new requests until it does. */
    atomic_store(&s->site.closed, true);
    wait_for_none(&s->site.suspended, INT64_MAX);
    /* Those that have just been handed back still want their answers sent. */
    wait_for_none(in_flight, clock_steady() + LAST_ANSWERS_US);
    for (size_t i = 0; i < s->n_doors; i++)
        loop_stop(s->doors[i].loop);
    release(s);
}

#include "net/links.h"

#include <pthread.h>
#include <sys/socket.h>

#include "base/banned.h"

struct link {
    struct links *all;
    struct link *next, **self;
    struct exchange *exchange;
    int fd;
    _Atomic int64_t waits_since; /* clock_steady(); 0 while the server works */
    struct str peer;
    char peer_text[PEER_TEXT_MAX];
};

struct links {
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending;
    struct link *first;
    pthread_t thread;
};

static void cut_slow_ones(struct links *l) {
    int64_t oldest = clock_steady() - REQUEST_US;
    for (struct link *k = l->first; k; k = k->next) {
        int64_t since = atomic_load(&k->waits_since);
        if (since > 0 && since < oldest)
            shutdown(k->fd, SHUT_RDWR); /* the library sees the end and closes it */
    }
}

static void *watch(void *arg) {
    struct links *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 5;
        pthread_cond_timedwait(&l->end, &l->lock, &until);
        cut_slow_ones(l);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

struct links *links_new(void) {
    struct links *l = calloc(1, sizeof(*l));
    pthread_condattr_t attr;
    if (!l)
        return NULL;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->end, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&l->thread, NULL, watch, l) == 0)
        return l;
    pthread_cond_destroy(&l->end);
    pthread_mutex_destroy(&l->lock);
    free(l);
    return NULL;
}

void links_free(struct links *l) {
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->ending = true;
    pthread_cond_signal(&l->end);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->end);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static struct link *open_link(struct door *door, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct link *k = calloc(1, sizeof(*k));
    if (!k || !fd || !(k->exchange = exchange_new(door, k))) {
        free(k);
        return NULL;
    }
    k->all = door->links;
    k->fd = fd->connect_fd;
    k->peer = peer_format(address ? address->client_addr : NULL, k->peer_text);
    k->waits_since = clock_steady();
    pthread_mutex_lock(&k->all->lock);
    k->next = k->all->first;
    k->self = &k->all->first;
    if (k->next)
        k->next->self = &k->next;
    k->all->first = k;
    pthread_mutex_unlock(&k->all->lock);
    return k;
}

static void close_link(struct link *k) {
    if (!k)
        return;
    pthread_mutex_lock(&k->all->lock);
    *k->self = k->next;
    if (k->next)
        k->next->self = k->self;
    pthread_mutex_unlock(&k->all->lock);
    exchange_free(k->exchange);
    free(k);
}

void links_notify(void *door, struct MHD_Connection *connection, void **context,
                  enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *context = open_link(door, connection);
    else
        close_link(*context);
}

struct exchange *link_exchange(struct link *l) {
    return l->exchange;
}

struct str link_peer(const struct link *l) {
    return l->peer;
}

void link_waits(struct link *l, bool for_client) {
    atomic_store(&l->waits_since, for_client ? clock_steady() : 0);
}

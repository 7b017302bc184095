#include "net/loop.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/banned.h"

struct loop {
    struct MHD_Daemon *daemon;
    _Atomic int64_t *suspended;
    _Atomic(struct handed *) back; /* the last one handed back first */
    _Atomic bool quiet, ending;
    int events_fd, wake_fd;
    pthread_t thread;
};

static void wake(struct loop *l) {
    uint64_t one = 1;
    while (write(l->wake_fd, &one, sizeof(one)) < 0)
        ; /* interrupted: nothing else can come, the count is far from full */
}

static void wait_for_events(struct loop *l) {
    unsigned long long ms;
    int timeout = MHD_get_timeout(l->daemon, &ms) == MHD_NO ? -1 : ms > INT_MAX ? INT_MAX : (int)ms;
    struct pollfd f[] = {{.fd = l->events_fd, .events = POLLIN}, {.fd = l->wake_fd, .events = POLLIN}};
    uint64_t count;
    if (timeout != 0 && poll(f, 2, timeout) > 0 && f[1].revents)
        while (read(l->wake_fd, &count, sizeof(count)) < 0)
            ;
}

/* In the order in which they came. */
static void take_back(struct loop *l) {
    struct handed *h = atomic_exchange(&l->back, NULL), *first = NULL, *next;
    for (; h; h = next) {
        next = h->next;
        h->next = first;
        first = h;
    }
    for (h = first; h; h = next) {
        next = h->next;
        MHD_resume_connection(h->connection);
        atomic_fetch_sub(l->suspended, 1);
    }
}

static void stop_listening(struct loop *l) {
    int fd = MHD_quiesce_daemon(l->daemon);
    if (fd >= 0)
        close(fd);
}

static void *run(void *arg) {
    struct loop *l = arg;
    bool listens = true;
    while (!atomic_load(&l->ending)) {
        wait_for_events(l);
        take_back(l);
        if (listens && atomic_load(&l->quiet)) {
            stop_listening(l);
            listens = false;
        }
        MHD_run(l->daemon);
    }
    return NULL;
}

static void end(struct loop *l) {
    MHD_stop_daemon(l->daemon);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    free(l);
}

bool loop_start(struct MHD_Daemon *daemon, _Atomic int64_t *suspended, struct loop **out) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct loop *l = calloc(1, sizeof(*l));
    if (!l) {
        MHD_stop_daemon(daemon);
        return false;
    }
    l->daemon = daemon;
    l->suspended = suspended;
    l->events_fd = info ? info->epoll_fd : -1;
    l->wake_fd = eventfd(0, EFD_CLOEXEC);
    *out = l;
    if (l->events_fd >= 0 && l->wake_fd >= 0 && pthread_create(&l->thread, NULL, run, l) == 0)
        return true;
    *out = NULL;
    end(l);
    return false;
}

/* Who finds the list empty wakes the thread: it takes all that there is. */
void loop_hand_back(struct loop *l, struct handed *h) {
    h->next = atomic_load(&l->back);
    while (!atomic_compare_exchange_weak(&l->back, &h->next, h))
        ;
    if (!h->next)
        wake(l);
}

void loop_quiesce(struct loop *l) {
    atomic_store(&l->quiet, true);
    wake(l);
}

void loop_stop(struct loop *l) {
    if (!l)
        return;
    atomic_store(&l->ending, true);
    wake(l);
    pthread_join(l->thread, NULL);
    end(l);
}

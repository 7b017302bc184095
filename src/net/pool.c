#include "net/pool.h"

#include <pthread.h>

#include "base/banned.h"

#define STACK_BYTES (512u << 10)

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct task *first, **last;
    size_t waiting, waiting_max;
    bool ending;
    size_t n_threads;
    pthread_t threads[];
};

static void *serve(void *arg) {
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->first && !p->ending)
            pthread_cond_wait(&p->work, &p->lock);
        struct task *task = p->first;
        if (!task)
            break;
        if (!(p->first = task->next))
            p->last = &p->first;
        p->waiting--;
        pthread_mutex_unlock(&p->lock);
        task->run(task->arg);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct pool *pool_new(size_t threads, size_t waiting_max) {
    struct pool *p = calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));
    pthread_attr_t attr;
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    p->last = &p->first;
    p->waiting_max = waiting_max;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    while (p->n_threads < threads && pthread_create(&p->threads[p->n_threads], &attr, serve, p) == 0)
        p->n_threads++;
    pthread_attr_destroy(&attr);
    if (p->n_threads < threads) {
        pool_free(p);
        return NULL;
    }
    return p;
}

bool pool_submit(struct pool *p, struct task *task) {
    pthread_mutex_lock(&p->lock);
    bool room = p->waiting < p->waiting_max && !p->ending;
    if (room) {
        task->next = NULL;
        *p->last = task;
        p->last = &task->next;
        p->waiting++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

void pool_free(struct pool *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* A pool of threads with a bounded queue, for work that may take its time: SLOW routes, and reads where reads
 * wait. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* The caller's, until run has been called. */
struct task {
    void (*run)(void *arg);
    void *arg;
    struct task *next;
};

struct pool;
struct pool *pool_new(size_t threads, size_t waiting_max); /* NULL when memory or threads are out */
bool pool_submit(struct pool *p,
                 struct task *task); /* false when the queue is full: nothing will be called */
void pool_free(struct pool *p);      /* after the last task has run; takes NULL */

#endif

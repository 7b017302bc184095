#include "core/secrets.h"

#include "identity/identity.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

struct secret {
    struct uuid org;
    int64_t which; /* of the setting's texts, from 1 */
    crypto_auth_hmacsha256_state keyed;
};

struct secrets {
    struct arena *mem;
    struct list texts;
    pthread_mutex_t lock;
    struct secret *active; /* as many as texts; those that name nobody are left out */
    size_t n;
    int64_t version; /* of the directory; of the thread that refreshes */
};

struct secrets *secrets_new(struct list texts) {
    struct arena *mem = arena_new(1 << 20);
    struct secrets *s = mem ? NEW(mem, struct secrets) : NULL;
    struct str *copies = mem ? NEW_N(mem, struct str, texts.n + 1) : NULL;
    if (s && copies)
        s->active = NEW_N(mem, struct secret, texts.n + 1);
    if (!s || !copies || !s->active) {
        arena_free(mem);
        return NULL;
    }
    for (size_t i = 0; i < texts.n; i++)
        copies[i] = str_dup(mem, ((const struct str *)texts.items)[i]);
    s->mem = mem;
    s->texts = (struct list){copies, texts.n};
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void secrets_free(struct secrets *s) {
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    arena_free(s->mem);
}

/* A prefix counts only if it names an organisation; else it is part of the secret. */
static struct str owner_of(struct str text, const struct organisation *orgs, size_t n, struct uuid *org) {
    struct str slug, rest;
    *org = orgs[0].id;
    if (str_cut(text, ':', &slug, &rest))
        for (size_t i = 0; i < n; i++)
            if (str_eq(orgs[i].slug, slug)) {
                *org = orgs[i].id;
                return rest;
            }
    return text;
}

static void assign(struct secrets *s, const struct list *orgs) {
    s->n = 0;
    for (size_t i = 0; orgs->n > 0 && i < s->texts.n; i++) {
        struct secret *a = &s->active[s->n];
        struct str key = owner_of(((const struct str *)s->texts.items)[i], orgs->items, orgs->n, &a->org);
        if (key.n == 0)
            continue;
        a->which = (int64_t)i + 1;
        crypto_auth_hmacsha256_init(&a->keyed, (const unsigned char *)key.p, key.n);
        s->n++;
    }
}

enum err secrets_refresh(struct ctx *cx, struct secrets *s) {
    struct list orgs;
    int64_t version;
    enum err e = directory_version(cx, &version);
    if (e || version == s->version || (e = organisation_list(cx, &orgs)))
        return e;
    pthread_mutex_lock(&s->lock);
    assign(s, &orgs);
    pthread_mutex_unlock(&s->lock);
    s->version = version;
    return OK;
}

enum err secrets_verify(struct ctx *cx, struct secrets *s, struct str signature, struct str body,
                        struct uuid *org, int64_t *which, bool *found) {
    unsigned char given[crypto_auth_hmacsha256_BYTES], made[crypto_auth_hmacsha256_BYTES];
    struct bytes raw;
    *found = false;
    if (signature.n != 2 * sizeof(given) || !hex_decode(cx->mem, signature, &raw))
        return OK;
    memcpy(given, raw.p, sizeof(given));
    pthread_mutex_lock(&s->lock);
    size_t n = s->n;
    struct secret *active = NEW_N(cx->mem, struct secret, n + 1);
    if (active)
        memcpy(active, s->active, n * sizeof(*active));
    pthread_mutex_unlock(&s->lock);
    if (!active)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    for (size_t i = 0; i < n; i++) {
        crypto_auth_hmacsha256_update(&active[i].keyed, (const unsigned char *)body.p, body.n);
        crypto_auth_hmacsha256_final(&active[i].keyed, made);
        if (sodium_memcmp(made, given, sizeof(made)) == 0 && !*found) {
            *org = active[i].org;
            *which = active[i].which;
            *found = true;
        }
    }
    return OK;
}

#include "identity/known.h"

#include "identity/identity.h"
#include "identity/statements.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

#define COPY_MEMORY ((size_t)256 << 20)
#define STALE_US (5 * US_PER_S) /* then nobody is let in on it */

struct knower {
    struct uuid id, org_id;
    struct str email, role;
    bool disabled;
    struct instant tokens_from;
};
static const struct field KNOWER_FIELDS[] = {
    FIELD(struct knower, id, ROW, "A user."),
    FIELD(struct knower, org_id, ROW, "His organisation."),
    FIELD(struct knower, email, ROW, "His address."),
    FIELD(struct knower, role, ROW, "What he may do."),
    FIELD(struct knower, disabled, ROW, "No token holds."),
    FIELD(struct knower, tokens_from, ROW, "Older tokens do not hold."),
};
const struct schema KNOWER = SCHEMA(struct knower, "KnownUser", KNOWER_FIELDS);

struct ended {
    struct uuid jti;
};
static const struct field ENDED_FIELDS[] = {FIELD(struct ended, jti, ROW, "A token that was ended.")};
const struct schema ENDED = SCHEMA(struct ended, "EndedToken", ENDED_FIELDS);

struct version {
    int64_t version;
};
static const struct field VERSION_FIELDS[] = {
    FIELD(struct version, version, ROW, "Grows with every change.")};
const struct schema DIRECTORY = SCHEMA(struct version, "DirectoryVersion", VERSION_FIELDS);

struct copy {
    struct arena *mem;
    struct list users, ended; /* sorted by id and jti */
};

struct known {
    pthread_rwlock_t lock;
    struct copy copy;
    int64_t version;      /* 0: never looked */
    int64_t looked_at;    /* steady */
    struct instant as_of; /* when the last look began */
};

struct known *known_new(void) {
    struct known *k = calloc(1, sizeof(*k));
    if (k)
        pthread_rwlock_init(&k->lock, NULL);
    return k;
}

void known_free(struct known *k) {
    if (!k)
        return;
    pthread_rwlock_destroy(&k->lock);
    arena_free(k->copy.mem);
    free(k);
}

static int by_id(const void *a, const void *b) {
    return memcmp(((const struct knower *)a)->id.b, ((const struct knower *)b)->id.b, sizeof(struct uuid));
}

static int by_jti(const void *a, const void *b) {
    return memcmp(((const struct ended *)a)->jti.b, ((const struct ended *)b)->jti.b, sizeof(struct uuid));
}

/* The rows go into the copy's own memory. */
static enum err read_copy(struct ctx *cx, struct copy *out) {
    struct ctx own = *cx;
    own.mem = out->mem;
    own.fault = (struct fault){0};
    enum err e = db_list(&own, &IDENTITY_STMTS[KNOWN_USERS], ARGS(), &out->users);
    if (!e)
        e = db_list(&own, &IDENTITY_STMTS[KNOWN_ENDED], ARGS(A(cx->now)), &out->ended);
    if (e)
        return fail(cx, e, "The users cannot be read.");
    qsort(out->users.items, out->users.n, sizeof(struct knower), by_id);
    qsort(out->ended.items, out->ended.n, sizeof(struct ended), by_jti);
    return OK;
}

enum err directory_version(struct ctx *cx, int64_t *out) {
    struct version v = {0};
    bool found;
    enum err e = db_get(cx, &IDENTITY_STMTS[DIRECTORY_VERSION], ARGS(), &v, &found);
    *out = v.version;
    return e;
}

/* Takes over the copy, or the look alone where nothing has changed. Leaves what is to be freed. */
static void install(struct known *k, int64_t version, struct instant as_of, struct copy *copy) {
    pthread_rwlock_wrlock(&k->lock);
    if (version > k->version && copy->mem) {
        struct copy before = k->copy;
        k->copy = *copy;
        *copy = before;
        k->version = version;
    }
    if (version == k->version) {
        k->looked_at = clock_steady();
        k->as_of = as_of.us > k->as_of.us ? as_of : k->as_of;
    }
    pthread_rwlock_unlock(&k->lock);
}

enum err known_refresh(struct ctx *cx, struct known *k) {
    struct copy copy = {0};
    int64_t version, have;
    enum err e = directory_version(cx, &version);
    if (e)
        return e;
    pthread_rwlock_rdlock(&k->lock);
    have = k->version;
    pthread_rwlock_unlock(&k->lock);
    if (version > have) {
        copy.mem = arena_new(COPY_MEMORY);
        e = copy.mem ? read_copy(cx, &copy) : fail(cx, ERR_MEMORY, "The users do not fit in memory.");
    }
    if (!e)
        install(k, version, cx->now, &copy);
    arena_free(copy.mem);
    return e;
}

/* Under the lock. */
static enum knowledge look_up(const struct known *k, const struct proof *p, const struct knower **user) {
    const struct knower wanted = {.id = p->user};
    const struct ended ended = {p->jti};
    if (!k->version || clock_steady() - k->looked_at > STALE_US)
        return KNOWN_STALE;
    if (bsearch(&ended, k->copy.ended.items, k->copy.ended.n, sizeof(ended), by_jti))
        return KNOWN_NOT;
    *user = bsearch(&wanted, k->copy.users.items, k->copy.users.n, sizeof(wanted), by_id);
    if (!*user)
        return p->issued.us >= k->as_of.us ? KNOWN_UNSEEN : KNOWN_NOT;
    bool holds =
        uuid_eq((*user)->org_id, p->org) && !(*user)->disabled && (*user)->tokens_from.us <= p->issued.us;
    return holds ? KNOWN : KNOWN_NOT;
}

enum knowledge known_find(struct known *k, const struct proof *p, struct arena *mem, enum role *role,
                          struct str *email) {
    const struct knower *user = NULL;
    pthread_rwlock_rdlock(&k->lock);
    enum knowledge found = look_up(k, p, &user);
    if (found == KNOWN && role_parse(user->role, role))
        *email = str_dup(mem, user->email);
    else if (found == KNOWN)
        found = KNOWN_NOT;
    pthread_rwlock_unlock(&k->lock);
    return found;
}

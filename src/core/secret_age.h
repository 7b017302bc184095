/* Age and last use of the webhook secrets. For secrets.c, which keeps those that are active; nobody else
 * includes this. */
#ifndef CORE_SECRET_AGE_H
#define CORE_SECRET_AGE_H

#include "core/secrets.h"
#include "net/command.h"

#include <pthread.h>
#include <sodium.h>

#define FINGERPRINT_BYTES 16
#define SECRET_OLD_DAYS 90

struct secret {
    enum secret_setting of;
    int64_t which; /* of the setting's texts, from 1 */
    struct uuid org;
    unsigned char fingerprint[FINGERPRINT_BYTES];
    crypto_auth_hmacsha256_state keyed;
    struct instant first_seen_at; /* as the database has it; 0: not known yet */
    struct instant used_at;       /* when it last proved something to this process */
    struct instant noted_at;      /* the use that the database knows of from here */
    struct instant told_at;       /* when the log said that it is old */
};

struct secrets {
    struct arena *mem;
    struct list texts[SECRET_SETTINGS]; /* of struct str */
    size_t most;
    unsigned char key[crypto_generichash_KEYBYTES];
    pthread_mutex_t lock;         /* of all that follows */
    struct secret *active, *next; /* at most so many; texts that name nobody are left out */
    size_t n;
    int64_t version; /* of the directory when they were read; of the thread that refreshes */
    bool unread;     /* the table may say more of them than is known here */
    bool noting;     /* a write is on its way */
    int64_t again;   /* steady: after a write that failed, not before then */
};

const char *secret_setting_name(enum secret_setting of);
/* Whose the texts are among these organisations (oldest first), into room for s->most; gives how many. */
size_t secrets_read(const struct secrets *s, const struct list *orgs, struct secret *out);

/* On the pulse, in its read transaction: learns, has written down and tells what is to be. */
MUST_USE enum err secret_ages_tend(struct ctx *cx, struct secrets *s);
size_t secret_ages_warn(struct ctx *cx, void *secrets, struct warning *out, size_t max);

/* secret_list.c */
enum { SECRET_NOTE, SECRETS_OWN, SECRETS_ALL, SECRET_STMTS_N };
extern const struct stmt SECRET_STMTS[SECRET_STMTS_N];
struct secret_row {
    struct str organisation, service;
    struct uuid org_id;
    struct str setting;
    struct optional_int index;
    bool active;
    struct bytes fingerprint;
    struct instant first_seen_at, last_used_at;
    struct optional_int age_days;
    bool old;
};
extern const struct schema SECRET_ROW;
#define SECRET_ROUTES_N 2
extern const struct route SECRET_ROUTES[SECRET_ROUTES_N];
#define SECRET_COMMANDS_N 1
extern const struct command SECRET_COMMANDS[SECRET_COMMANDS_N];

#endif

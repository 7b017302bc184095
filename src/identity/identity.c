#include "identity/state.h"
#include "identity/statements.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "base/banned.h"

#define SECRET_FILE "secret.key"

struct identity *identity_of(const struct ctx *cx) {
    return module_state(cx, &IDENTITY_MODULE);
}

void identity_count(const struct ctx *cx, enum identity_metric metric, struct str label) {
    if (cx->modules)
        metrics_add(cx->modules->metrics, &IDENTITY_METRICS[metric], label, 1);
}

static void drop_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static enum err read_secret(struct ctx *cx, const char *path, struct str *out) {
    char text[256];
    int fd __attribute__((cleanup(drop_fd))) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n < SECRET_MIN)
        return fail(cx, ERR_USAGE, "The secret in %s cannot be read; set SECRET_KEY.", path);
    *out = str_dup(cx->mem, (struct str){text, (size_t)n});
    sodium_memzero(text, sizeof(text));
    return out->p ? OK : fail(cx, ERR_MEMORY, "There is no memory for the secret.");
}

/* A file of its own, whole and on disk before it gets its name: of two processes that start at once the
 * second finds the secret of the first. */
static bool write_secret(const char *draft, const char *name, struct str text) {
    int fd __attribute__((cleanup(drop_fd))) = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;
    good = good && (link(draft, name) == 0 || errno == EEXIST);
    unlink(draft);
    return good;
}

/* A local server needs no settings: its secret is made once and stays in the data folder, so that tokens
 * outlive it. */
static enum err local_secret(struct ctx *cx, struct str folder, struct str *out) {
    char id[36];
    struct str path = str_printf(cx->mem, "%.*s/" SECRET_FILE, STR_FMT(folder));
    struct str unique = uuid_format(uuid_new(cx->now), id);
    char *name = str_z(cx->mem, path),
         *draft = str_z(cx->mem, str_printf(cx->mem, "%.*s.%.*s", STR_FMT(path), STR_FMT(unique)));
    unsigned char fresh[SECRET_MIN];
    randombytes_buf(fresh, sizeof(fresh));
    struct str text = hex_encode(cx->mem, (struct bytes){fresh, sizeof(fresh)});
    if (!name || !draft || !text.p)
        return fail(cx, ERR_MEMORY, "There is no memory for the secret.");
    if (access(name, F_OK) != 0 && !write_secret(draft, name, text))
        return fail(cx, ERR_USAGE, "The secret cannot be written to %s; set SECRET_KEY.", name);
    return read_secret(cx, name, out);
}

static enum err make_key(struct ctx *cx, const struct settings *settings, struct token_key **out) {
    struct str own = setting_text(settings, "JWT_SECRET"), master = setting_text(settings, "SECRET_KEY");
    if (own.n)
        return token_key_new(cx, (struct bytes){(const unsigned char *)own.p, own.n}, out);
    if (!master.n && !settings_local(settings))
        return fail(cx, ERR_USAGE, "SECRET_KEY is not set; give it at least %d random bytes.", SECRET_MIN);
    enum err e = master.n ? OK : local_secret(cx, setting_text(settings, "ENTREPOT_DATA"), &master);
    if (e)
        return e;
    unsigned char key[32];
    token_key_derive(master, key);
    e = token_key_new(cx, (struct bytes){key, sizeof(key)}, out);
    sodium_memzero(key, sizeof(key));
    return e;
}

enum err identity_derive(struct ctx *cx, struct str label, unsigned char out[static 32]) {
    const struct settings *settings = cx->modules->settings;
    struct str own = setting_text(settings, "JWT_SECRET"), master = setting_text(settings, "SECRET_KEY");
    if (!master.n)
        master = own;
    enum err e = master.n ? OK : local_secret(cx, setting_text(settings, "ENTREPOT_DATA"), &master);
    if (!e)
        crypto_generichash(out, 32, (const unsigned char *)master.p, master.n, (const unsigned char *)label.p,
                           label.n);
    return e;
}

enum err identity_new(struct ctx *cx, const struct settings *settings, struct identity **out) {
    if (sodium_init() < 0)
        return fail(cx, ERR_INTERNAL, "The system gives no random numbers.");
    struct identity *id = calloc(1, sizeof(*id));
    if (!id)
        return fail(cx, ERR_MEMORY, "There is no memory to start.");
    id->proofs = proofs_new();
    id->known = known_new();
    id->throttle = throttle_new();
    enum err e = id->proofs && id->known && id->throttle
                     ? make_key(cx, settings, &id->key)
                     : fail(cx, ERR_MEMORY, "There is no memory to start.");
    if (e)
        identity_free(id);
    else
        *out = id;
    return e;
}

void identity_free(struct identity *id) {
    if (!id)
        return;
    token_key_free(id->key);
    proofs_free(id->proofs);
    known_free(id->known);
    throttle_free(id->throttle);
    free(id);
}

void identity_on_organisation(struct identity *id, organisation_created_fn *hook) {
    id->on_organisation = hook;
}

bool bearer_token(const struct request *rq, struct str *token) {
    size_t count;
    struct str value = request_header(rq, S("authorization"), &count), scheme, rest;
    if (count != 1 || !str_cut(value, ' ', &scheme, &rest) || !str_eq_nocase(scheme, S("bearer")))
        return false;
    rest = str_trim(rest);
    if (rest.n == 0 || rest.n > TOKEN_MAX)
        return false;
    *token = rest;
    return true;
}

/* The token by cryptography alone. Issued in the same second as a change of the password counts as after it:
 * iat has whole seconds only. */
static enum err prove(struct ctx *cx, const struct identity *id, struct str token, struct proof *out) {
    struct claims c;
    enum err e = token_verify(cx, id->key, token, &c);
    if (!e)
        *out = (struct proof){.org = c.org_id,
                              .user = c.sub,
                              .jti = c.jti,
                              .issued = {c.iat * US_PER_S + US_PER_S - 1},
                              .expires_at = {c.exp * US_PER_S}};
    return e;
}

enum err identity_authenticate(struct ctx *cx, const struct request *rq, void *identity) {
    struct identity *id = identity;
    struct str token, email = {0};
    enum role role;
    if (!bearer_token(rq, &token))
        return fail(cx, ERR_UNAUTHENTICATED, "Log in first: send the header Authorization: Bearer <token>.");
    struct proof_key key = proofs_key(id->proofs, token);
    int64_t steady = clock_steady();
    struct proof p;
    bool kept = proofs_find(id->proofs, key, steady, cx->now, &p);
    enum err e = kept ? OK : prove(cx, id, token, &p);
    if (e)
        return e;
    enum knowledge known = known_find(id->known, &p, cx->mem, &role, &email);
    /* A kept token has been good: if its user is not known any more, he is gone. */
    if (known == KNOWN_STALE || (known == KNOWN_UNSEEN && !kept))
        return fail(cx, ERR_UNAVAILABLE, "Who you are cannot be looked up just now; try again.");
    if (known != KNOWN || !email.p)
        return fail(cx, ERR_UNAUTHENTICATED, "The token is not valid or no longer valid; log in again.");
    if (!kept)
        proofs_add(id->proofs, key, steady, &p);
    identity_count(cx, PROOFS, kept ? S("kept") : S("verified"));
    cx->actor = (struct actor){.org = p.org, .user = p.user, .name = email, .role = role};
    return OK;
}

void identity_changed(struct ctx *cx) {
    enum err e = db_read_begin(cx);
    if (!e)
        e = known_refresh(cx, identity_of(cx)->known);
    db_read_end(cx);
    if (e)
        fault_clear(cx); /* the change has been made; the pulse will see it */
}

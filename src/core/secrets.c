#include "core/secrets.h"

#include "base/settings.h"
#include "core/secret_age.h"
#include "identity/identity.h"
#include "identity/slug.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

static const char *const SETTING_NAMES[SECRET_SETTINGS] = {
    [SECRETS_DIRECT] = "WEBHOOK_SECRETS",
    [SECRETS_TOKENS] = "SHIPSTATION_WEBHOOK_TOKENS",
    [SECRETS_SMARTSHEET] = "SMARTSHEET_WEBHOOK_SECRET",
};
const char *secret_setting_name(enum secret_setting of) { return SETTING_NAMES[of]; }

/* "org:secret" → secret. Which organisations there are is not known when settings are read: what has the form
 * of a slug may become one. */
static struct str without_owner(struct str item, struct str *owner) {
    struct str rest;
    *owner = S("");
    if (!str_cut(item, ':', owner, &rest) || !owner->n || owner->n > SLUG_MAX)
        return *owner = S(""), item;
    for (size_t i = 0; i < owner->n; i++) {
        char c = owner->p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return *owner = S(""), item;
    }
    return rest;
}

bool secrets_one_owner_each(const struct list *items) {
    const struct str *v = items->items;
    for (size_t i = 0; i < items->n; i++)
        for (size_t k = 0; k < i; k++) {
            struct str one, other, a = without_owner(v[i], &one), b = without_owner(v[k], &other);
            if (str_eq(a, b) && !str_eq(one, other))
                return false;
        }
    return true;
}

/* The same secret of another setting or organisation has another fingerprint. */
static void make_fingerprint(const struct secrets *s, struct secret *a, struct str key) {
    const char *setting = SETTING_NAMES[a->of];
    crypto_generichash_state h;
    crypto_generichash_init(&h, s->key, sizeof(s->key), FINGERPRINT_BYTES);
    crypto_generichash_update(&h, (const unsigned char *)setting, strlen(setting) + 1);
    crypto_generichash_update(&h, a->org.b, sizeof(a->org.b));
    crypto_generichash_update(&h, (const unsigned char *)key.p, key.n);
    crypto_generichash_final(&h, a->fingerprint, FINGERPRINT_BYTES);
}

size_t secrets_read(const struct secrets *s, const struct list *orgs, struct secret *out) {
    size_t n = 0;
    for (int of = 0; orgs->n > 0 && of < SECRET_SETTINGS; of++)
        for (size_t i = 0; i < s->texts[of].n; i++) {
            struct secret a = {.of = (enum secret_setting)of, .which = (int64_t)i + 1};
            struct str key = organisation_owner(orgs, ((const struct str *)s->texts[of].items)[i], &a.org);
            if (key.n == 0)
                continue;
            make_fingerprint(s, &a, key);
            crypto_auth_hmacsha256_init(&a.keyed, (const unsigned char *)key.p, key.n);
            out[n++] = a;
        }
    return n;
}

/* What is known of a secret stays known while it is the same organisation's. */
static void assign(struct secrets *s, const struct list *orgs) {
    size_t n = secrets_read(s, orgs, s->next);
    pthread_mutex_lock(&s->lock);
    struct secret *before = s->active;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < s->n; k++)
            if (memcmp(s->next[i].fingerprint, before[k].fingerprint, FINGERPRINT_BYTES) == 0) {
                s->next[i].first_seen_at = before[k].first_seen_at;
                s->next[i].used_at = before[k].used_at;
                s->next[i].noted_at = before[k].noted_at;
                s->next[i].told_at = before[k].told_at;
            }
    s->active = s->next;
    s->next = before;
    s->n = n;
    s->unread = true;
    pthread_mutex_unlock(&s->lock);
}

static enum err refresh(struct ctx *cx, void *kept) {
    struct secrets *s = kept;
    struct list orgs;
    int64_t version;
    if (s->most == 0)
        return OK;
    enum err e = directory_version(cx, &version);
    if (e)
        return e;
    if (version != s->version) {
        if ((e = organisation_list(cx, &orgs)))
            return e;
        assign(s, &orgs);
        s->version = version;
    }
    return secret_ages_tend(cx, s);
}

/* A copy of those of the setting, so that nobody waits while another's body is hashed. */
static size_t copy_active(struct ctx *cx, struct secrets *s, enum secret_setting of, struct secret **out) {
    size_t n = 0;
    *out = NEW_N(cx->mem, struct secret, s->texts[of].n + 1);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; *out && i < s->n; i++)
        if (s->active[i].of == of)
            (*out)[n++] = s->active[i];
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void mark_used(const struct ctx *cx, struct secrets *s, const struct secret *one) {
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n; i++)
        if (memcmp(s->active[i].fingerprint, one->fingerprint, FINGERPRINT_BYTES) == 0 &&
            s->active[i].used_at.us < cx->now.us)
            s->active[i].used_at = cx->now;
    pthread_mutex_unlock(&s->lock);
}

enum err secrets_verify(struct ctx *cx, enum secret_setting of, struct str signature, struct str body,
                        struct uuid *org, int64_t *which, bool *found) {
    struct secrets *s = module_state(cx, &SECRETS_MODULE);
    unsigned char given[crypto_auth_hmacsha256_BYTES], made[crypto_auth_hmacsha256_BYTES];
    struct bytes raw;
    struct secret *active, *good = NULL;
    *found = false;
    if (signature.n != 2 * sizeof(given) || !hex_decode(cx->mem, signature, &raw))
        return OK;
    memcpy(given, raw.p, sizeof(given));
    size_t n = copy_active(cx, s, of, &active);
    if (!active)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    for (size_t i = 0; i < n; i++) {
        crypto_auth_hmacsha256_update(&active[i].keyed, (const unsigned char *)body.p, body.n);
        crypto_auth_hmacsha256_final(&active[i].keyed, made);
        if (sodium_memcmp(made, given, sizeof(made)) == 0 && !good)
            good = &active[i];
    }
    if (!good)
        return OK;
    mark_used(cx, s, good);
    *org = good->org;
    *which = good->which;
    *found = true;
    return OK;
}

static void stop(void *kept) {
    struct secrets *s = kept;
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    sodium_memzero(s->key, sizeof(s->key));
    arena_free(s->mem);
}

static bool copy_texts(struct secrets *s, const struct settings *settings) {
    for (int of = 0; of < SECRET_SETTINGS; of++) {
        struct list texts = setting_list(settings, SETTING_NAMES[of]);
        struct str *copies = NEW_N(s->mem, struct str, texts.n + 1);
        for (size_t i = 0; copies && i < texts.n; i++)
            copies[i] = str_dup(s->mem, ((const struct str *)texts.items)[i]);
        if (!copies)
            return false;
        s->texts[of] = (struct list){copies, texts.n};
        s->most += texts.n;
    }
    s->active = NEW_N(s->mem, struct secret, s->most + 1);
    s->next = NEW_N(s->mem, struct secret, s->most + 1);
    return s->active && s->next;
}

static enum err start(struct ctx *cx, void **kept) {
    struct arena *mem = arena_new(4 << 20);
    struct secrets *s = mem ? NEW(mem, struct secrets) : NULL;
    if (!s) {
        arena_free(mem);
        return fail(cx, ERR_MEMORY, "The secrets of webhooks do not fit in memory.");
    }
    s->mem = mem;
    pthread_mutex_init(&s->lock, NULL);
    enum err e = copy_texts(s, cx->modules->settings)
                     ? identity_derive(cx, S("entrepot webhook secrets"), s->key)
                     : fail(cx, ERR_MEMORY, "The secrets of webhooks do not fit in memory.");
    if (e)
        stop(s);
    else
        *kept = s;
    return e;
}

const struct module SECRETS_MODULE = {.name = "secrets",
                                      .routes = SECRET_ROUTES,
                                      .n_routes = SECRET_ROUTES_N,
                                      .stmts = SECRET_STMTS,
                                      .n_stmts = SECRET_STMTS_N,
                                      .commands = SECRET_COMMANDS,
                                      .n_commands = SECRET_COMMANDS_N,
                                      .start = start,
                                      .stop = stop,
                                      .refresh = refresh,
                                      .warn = secret_ages_warn};

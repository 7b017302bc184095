#include "identity/audit.h"
#include "identity/email.h"
#include "identity/handlers.h"
#include "identity/password.h"
#include "identity/state.h"
#include "identity/statements.h"

#include "base/banned.h"

#define JSON_ROOM 2048

/* A user as log-in wants him: with his hash and his organisation. */
struct account {
    struct uuid org_id, id;
    struct str email, name, role;
    bool disabled;
    struct str password_hash, organisation_slug, organisation_name;
};
static const struct field ACCOUNT_FIELDS[] = {
    FIELD(struct account, org_id, ROW, "His organisation."),
    FIELD(struct account, id, ROW, "His number."),
    FIELD(struct account, email, ROW, "His address."),
    FIELD(struct account, name, ROW, "His name."),
    FIELD(struct account, role, ROW, "What he may do."),
    FIELD(struct account, disabled, ROW, "Cannot log in."),
    FIELD(struct account, password_hash, ROW, "Argon2id."),
    FIELD(struct account, organisation_slug, ROW, "Its short name."),
    FIELD(struct account, organisation_name, ROW, "Its name."),
};
const struct schema ACCOUNT = SCHEMA(struct account, "Account", ACCOUNT_FIELDS);

struct login {
    struct str email, password;
};
static const struct field LOGIN_FIELDS[] = {
    FIELD(struct login, email, CREATE | REQUIRED, "The address of the user.", .min = 1, .max = EMAIL_MAX),
    FIELD(struct login, password, CREATE | REQUIRED, "The password.", .min = 1, .max = PASSWORD_MAX),
};
const struct schema LOGIN = SCHEMA(struct login, "Login", LOGIN_FIELDS);

struct me {
    struct uuid id;
    struct str email, name, role;
    struct json roles, organisation;
};
static const struct field ME_FIELDS[] = {
    FIELD(struct me, id, OUT | REQUIRED, "The user's number."),
    FIELD(struct me, email, OUT | REQUIRED, "The address to log in with."),
    FIELD(struct me, name, OUT, "A name for people."),
    FIELD(struct me, role, OUT | REQUIRED, "What the user may do."),
    FIELD(struct me, roles, OUT | REQUIRED, "The same as a list, as tokens have it."),
    FIELD(struct me, organisation, OUT | REQUIRED, "The user's organisation: {id, slug, name}."),
};
const struct schema ME = SCHEMA(struct me, "Me", ME_FIELDS);

struct logged_in {
    struct str token;
    struct instant expires_at;
    struct json user;
};
static const struct field LOGGED_IN_FIELDS[] = {
    FIELD(struct logged_in, token, OUT | REQUIRED, "Goes into the header Authorization: Bearer <token>."),
    FIELD(struct logged_in, expires_at, OUT | REQUIRED, "When the token ends."),
    FIELD(struct logged_in, user, OUT | REQUIRED, "The user, as auth/me gives it."),
};
const struct schema LOGGED_IN = SCHEMA(struct logged_in, "LoggedIn", LOGGED_IN_FIELDS);

struct password_change {
    struct str current, fresh;
};
static const struct field PASSWORD_CHANGE_FIELDS[] = {
    FIELD(struct password_change, current, CREATE | REQUIRED, "The password until now.", .min = 1,
          .max = PASSWORD_MAX),
    {.name = "new",
     .kind = KIND_OF(struct password_change, fresh),
     .uses = CREATE | REQUIRED,
     .offset = offsetof(struct password_change, fresh),
     .min = PASSWORD_MIN,
     .max = PASSWORD_MAX,
     .doc = "The new password; ends all tokens issued before."},
};
const struct schema PASSWORD_CHANGE =
    SCHEMA(struct password_change, "PasswordChange", PASSWORD_CHANGE_FIELDS);

struct organisation_brief {
    struct uuid id;
    struct str slug, name;
};
static const struct field BRIEF_FIELDS[] = {
    FIELD(struct organisation_brief, id, OUT | REQUIRED, "Its number."),
    FIELD(struct organisation_brief, slug, OUT | REQUIRED, "Its short name."),
    FIELD(struct organisation_brief, name, OUT | REQUIRED, "Its name."),
};
static const struct schema BRIEF = SCHEMA(struct organisation_brief, "OrganisationBrief", BRIEF_FIELDS);

static struct json as_json(struct ctx *cx, const struct schema *s, const void *object) {
    struct buf b = buf_new(cx->mem, JSON_ROOM);
    schema_encode(s, OUT, object, &b);
    return (struct json){b.failed ? (struct str){0} : buf_str(&b)};
}

static struct me me_of(struct ctx *cx, const struct account *a) {
    struct organisation_brief org = {a->org_id, a->organisation_slug, a->organisation_name};
    return (struct me){.id = a->id,
                       .email = a->email,
                       .name = a->name,
                       .role = a->role,
                       .roles = {str_printf(cx->mem, "[\"%.*s\"]", STR_FMT(a->role))},
                       .organisation = as_json(cx, &BRIEF, &org)};
}

/* By a read of its own. An address that nobody has gives an account without a hash. */
static enum err account_find(struct ctx *cx, struct str email, struct account *out) {
    struct account a = {0};
    bool found = false;
    enum err e = db_read_begin(cx);
    if (!e)
        e = db_get(cx, &IDENTITY_STMTS[USER_LOGIN], ARGS(A(email)), &a, &found);
    db_read_end(cx);
    if (!e)
        *out = found ? a : (struct account){0};
    return e;
}

static enum err answer_login(struct ctx *cx, struct answer *an, const struct account *a) {
    struct me me = me_of(cx, a);
    struct logged_in out = {.user = as_json(cx, &ME, &me)};
    enum err e =
        token_issue(cx, identity_of(cx)->key, a->id, a->org_id, a->role, &out.token, &out.expires_at);
    if (e)
        return e;
    answer_header(an, S("Cache-Control"), S("no-store"));
    return answer_object(cx, an, 200, &LOGGED_IN, &out);
}

static enum err too_many(struct ctx *cx, struct answer *an, int64_t wait_us) {
    int64_t seconds = (wait_us + US_PER_S - 1) / US_PER_S;
    answer_header(an, S("Retry-After"), str_printf(cx->mem, "%lld", (long long)seconds));
    identity_count(cx, LOGINS, S("throttled"));
    return fail(cx, ERR_RATE, "Too many failed log-ins; try again in %lld seconds.", (long long)seconds);
}

/* The password of the account behind an address, within what address and account may fail. */
static enum err check_password(struct ctx *cx, const struct request *rq, struct answer *an, struct str email,
                               struct str password, struct account *out) {
    struct throttle *t = identity_of(cx)->throttle;
    int64_t steady = clock_steady(), wait = throttle_take(t, BY_ADDRESS, rq->peer, steady);
    if (wait || (wait = throttle_take(t, BY_ACCOUNT, email, steady)))
        return too_many(cx, an, wait);
    struct account a;
    enum err e = account_find(cx, email, &a);
    if (e) { /* nobody's fault who knocks */
        throttle_give_back(t, BY_ADDRESS, rq->peer, steady);
        throttle_give_back(t, BY_ACCOUNT, email, steady);
        return e;
    }
    bool fits = password_verify(password, a.password_hash);
    if (!fits || a.disabled) {
        identity_count(cx, LOGINS, S("refused"));
        return fail(cx, ERR_UNAUTHENTICATED, "The e-mail address or the password is wrong.");
    }
    throttle_give_back(t, BY_ADDRESS, rq->peer, steady);
    throttle_give_back(t, BY_ACCOUNT, email, steady);
    *out = a;
    return OK;
}

enum err auth_login(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct login *in = rq->in;
    struct str email = email_normal(cx->mem, in->email);
    struct account a;
    enum err e = check_password(cx, rq, an, email, in->password, &a);
    if (e)
        return e;
    identity_count(cx, LOGINS, S("good"));
    return answer_login(cx, an, &a);
}

enum err auth_me(struct ctx *cx, struct request *rq, struct answer *an) {
    struct account a;
    bool found;
    (void)rq;
    enum err e = db_get(cx, &IDENTITY_STMTS[USER_LOGIN], ARGS(A(cx->actor.name)), &a, &found);
    if (e)
        return e;
    if (!found || !uuid_eq(a.id, cx->actor.user))
        return fail(cx, ERR_NOT_FOUND, "The user is gone.");
    struct me me = me_of(cx, &a);
    return answer_object(cx, an, 200, &ME, &me);
}

static enum err run_logout(struct ctx *cx, void *arg) {
    const struct claims *c = arg;
    struct instant until = {c->exp * US_PER_S};
    enum err e = db_exec(cx, &IDENTITY_STMTS[TOKEN_SWEEP], ARGS(A(cx->now)), NULL);
    return e ? e : db_exec(cx, &IDENTITY_STMTS[TOKEN_REVOKE], ARGS(A(c->jti), A(until)), NULL);
}

enum err auth_logout(struct ctx *cx, struct request *rq, struct answer *an) {
    struct identity *id = identity_of(cx);
    struct str token;
    struct claims c;
    enum err e;
    (void)an;
    if (!bearer_token(rq, &token))
        return fail(cx, ERR_UNAUTHENTICATED, "There is no token to end.");
    if ((e = token_verify(cx, id->key, token, &c)) || (e = db_write_wait(cx, run_logout, &c)))
        return e;
    identity_changed(cx);
    return OK;
}

struct new_password {
    struct account account;
    struct str hash;
};

static enum err run_password(struct ctx *cx, void *arg) {
    const struct new_password *p = arg;
    int64_t changed;
    enum err e =
        db_exec(cx, &IDENTITY_STMTS[USER_PASSWORD], ARGS(A(p->account.id), A(p->hash), A(cx->now)), &changed);
    if (e)
        return e;
    return changed ? audit_write(cx, S("user.password"), p->account.email, (struct json){0}, (struct json){0})
                   : fail(cx, ERR_NOT_FOUND, "The user is gone.");
}

enum err auth_password(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct password_change *in = rq->in;
    struct new_password p;
    enum err e = check_password(cx, rq, an, cx->actor.name, in->current, &p.account);
    /* The request is authenticated; it is a field that is wrong. */
    if (e == ERR_UNAUTHENTICATED) {
        fault_clear(cx);
        return fail_field(cx, S("current"), "is not the password");
    }
    if (e || (e = password_hash(cx, in->fresh, &p.hash)) || (e = db_write_wait(cx, run_password, &p)))
        return e;
    identity_changed(cx);
    return answer_login(cx, an, &p.account);
}

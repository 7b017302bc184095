#include "identity/user.h"

#include "identity/audit.h"
#include "identity/email.h"
#include "identity/handlers.h"
#include "identity/password.h"
#include "identity/state.h"
#include "identity/statements.h"
#include "net/idempotency.h"
#include "net/listing.h"

#include "base/banned.h"

static const struct field FIELDS[] = {
    FIELD(struct user, id, OUT | ROW | REQUIRED, "Its number."),
    FIELD(struct user, email, CREATE | OUT | ROW | REQUIRED,
          "The address to log in with; kept in lower case.", .min = 3, .max = EMAIL_MAX, .check = email_valid,
          .rule = EMAIL_RULE),
    FIELD(struct user, name, CREATE | PATCH | OUT | ROW, "A name for people.", .max = 200),
    FIELD(struct user, role, CREATE | PATCH | OUT | ROW | REQUIRED, "What the user may do.",
          .one_of = ROLE_NAMES),
    FIELD(struct user, disabled, PATCH | OUT | ROW, "Cannot log in, and no token holds."),
    FIELD(struct user, created_at, OUT | ROW | REQUIRED, "When the user was made."),
    FIELD(struct user, updated_at, OUT | ROW | REQUIRED, "When the user was last changed."),
    FIELD(struct user, password, CREATE | PATCH, "A new password; ends all tokens of the user.",
          .min = PASSWORD_MIN, .max = PASSWORD_MAX),
};
const struct schema USER = SCHEMA(struct user, "User", FIELDS);

static const struct listing_sort SORTS[] = {
    {"email", &IDENTITY_STMTS[USER_PAGE_EMAIL], "email", NULL},
    {"-created_at", &IDENTITY_STMTS[USER_PAGE_NEWEST], "created_at", "id"},
};
const struct listing USERS = {.row = &USER, .sorts = SORTS, .n_sorts = sizeof(SORTS) / sizeof(SORTS[0])};

#define LAST_OWNER                                                                                          \
    "The last owner of an organisation cannot be removed, disabled or demoted; make another user an owner " \
    "first."

enum err user_hash(struct ctx *cx, struct str password, struct str *hash) {
    if (password.p)
        return password_hash(cx, password, hash);
    *hash = (struct str){0};
    return OK;
}

enum err user_insert(struct ctx *cx, struct user *u, struct str hash) {
    u->id = uuid_new(cx->now);
    u->created_at = u->updated_at = cx->now;
    u->email = email_normal(cx->mem, u->email);
    int64_t changed;
    enum err e =
        db_exec(cx, &IDENTITY_STMTS[USER_INSERT], args_of(cx, &USER, u, ARGS(A(hash), A(cx->now))), &changed);
    if (e)
        return e;
    if (changed == 0)
        return fail(cx, ERR_CONFLICT, "There is a user with the address %.*s already.", STR_FMT(u->email));
    return audit_change(cx, S("user.create"), u->email, &USER, NULL, u);
}

/* In a transaction: the user that the path names. */
static enum err require(struct ctx *cx, const struct request *rq, struct user *out) {
    struct uuid id;
    bool found = false;
    enum err e = OK;
    if (uuid_parse(rq->param[0], &id))
        e = db_get(cx, &IDENTITY_STMTS[USER_GET], ARGS(A(id)), out, &found);
    return e || found ? e : fail(cx, ERR_NOT_FOUND, "There is no user with this id.");
}

/* One change of one user on its way: what it takes, and what it made. */
struct change {
    struct request *rq;
    struct answer *an; /* of one that answers inside its closure */
    struct str hash;
    struct user user;
};

static enum err lock(struct ctx *cx) {
    struct organisation org;
    bool found;
    return db_get(cx, &IDENTITY_STMTS[ORGANISATION_LOCK], ARGS(), &org, &found);
}

/* Runs the closure, then looks at the users anew: they see the change with their next request. */
static enum err apply(struct ctx *cx, enum err (*run)(struct ctx *cx, void *arg), struct change *change) {
    enum err e = db_write_wait(cx, run, change);
    if (!e)
        identity_changed(cx);
    return e;
}

static enum err run_create(struct ctx *cx, void *arg) {
    struct change *c = arg;
    c->user = *(const struct user *)c->rq->in;
    enum err e = user_insert(cx, &c->user, c->hash);
    return e ? e : answer_object(cx, c->an, 201, &USER, &c->user);
}

enum err users_create(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct user *in = rq->in;
    struct change c = {.rq = rq, .an = an};
    enum err e = user_hash(cx, in->password, &c.hash);
    if (!e && !(e = idempotency_write(cx, rq, an, run_create, &c)))
        identity_changed(cx);
    return e;
}

enum err users_get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct user u;
    enum err e = require(cx, rq, &u);
    return e ? e : answer_object(cx, an, 200, &USER, &u);
}

static enum err store(struct ctx *cx, const struct user *u, struct str hash) {
    int64_t changed;
    enum err e = db_exec(cx, &IDENTITY_STMTS[USER_UPDATE],
                         ARGS(A(u->id), A(u->name), A(u->role), A(u->disabled), A(cx->now)), &changed);
    if (e)
        return e;
    if (changed == 0)
        return fail(cx, ERR_CONFLICT, "%s", LAST_OWNER);
    return hash.p ? db_exec(cx, &IDENTITY_STMTS[USER_PASSWORD], ARGS(A(u->id), A(hash), A(cx->now)), NULL)
                  : OK;
}

static enum err run_patch(struct ctx *cx, void *arg) {
    struct change *c = arg;
    struct user before;
    enum err e;
    if ((e = lock(cx)) || (e = require(cx, c->rq, &before)))
        return e;
    c->user = before;
    schema_merge(&USER, c->rq->present, c->rq->in, &c->user);
    if (uuid_eq(before.id, cx->actor.user) && !str_eq(before.role, c->user.role))
        return fail(cx, ERR_CONFLICT, "Nobody changes his own role; ask another owner.");
    c->user.updated_at = cx->now;
    if ((e = store(cx, &c->user, c->hash)))
        return e;
    return audit_change(cx, S("user.change"), before.email, &USER, &before, &c->user);
}

static bool brought(const struct request *rq, struct str name) {
    return rq->present >> (schema_field(&USER, name) - USER.fields) & 1;
}

enum err users_patch(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct user *in = rq->in;
    struct change c = {.rq = rq};
    if (brought(rq, S("role")) && !in->role.p)
        return fail_field(cx, S("role"), "must not be null");
    if (brought(rq, S("password")) && !in->password.p)
        return fail_field(cx, S("password"), "must not be null");
    enum err e = user_hash(cx, in->password, &c.hash);
    if (e || (e = apply(cx, run_patch, &c)))
        return e;
    return answer_object(cx, an, 200, &USER, &c.user);
}

static enum err run_delete(struct ctx *cx, void *arg) {
    struct change *c = arg;
    int64_t changed;
    enum err e;
    if ((e = lock(cx)) || (e = require(cx, c->rq, &c->user)) ||
        (e = db_exec(cx, &IDENTITY_STMTS[USER_DELETE], ARGS(A(c->user.id)), &changed)))
        return e;
    if (changed == 0)
        return fail(cx, ERR_CONFLICT, "%s", LAST_OWNER);
    return audit_change(cx, S("user.delete"), c->user.email, &USER, &c->user, NULL);
}

enum err users_delete(struct ctx *cx, struct request *rq, struct answer *an) {
    struct change c = {.rq = rq};
    (void)an;
    return apply(cx, run_delete, &c);
}

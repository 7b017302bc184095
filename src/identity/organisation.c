#include "identity/audit.h"
#include "identity/email.h"
#include "identity/handlers.h"
#include "identity/password.h"
#include "identity/slug.h"
#include "identity/state.h"
#include "identity/statements.h"
#include "identity/user.h"
#include "net/idempotency.h"

#include "base/banned.h"

#define NAME_MAX_LENGTH 200
#define SLUG_TRIES 1000

static const struct field FIELDS[] = {
    FIELD(struct organisation, id, OUT | ROW | REQUIRED, "Its number."),
    FIELD(struct organisation, slug, OUT | ROW | REQUIRED, "Its short name, for settings and addresses."),
    FIELD(struct organisation, name, OUT | ROW | REQUIRED, "Its name."),
    FIELD(struct organisation, created_at, OUT | ROW | REQUIRED, "When it was made."),
};
const struct schema ORGANISATION = SCHEMA(struct organisation, "Organisation", FIELDS);

struct organisation_new {
    struct str name;
    struct json owner;
};
static const struct field NEW_FIELDS[] = {
    FIELD(struct organisation_new, name, CREATE | REQUIRED, "Its name; no other organisation has it.",
          .min = 1, .max = NAME_MAX_LENGTH),
    FIELD(struct organisation_new, owner, CREATE | REQUIRED, "Its first user: {email, password}."),
};
const struct schema ORGANISATION_NEW = SCHEMA(struct organisation_new, "OrganisationNew", NEW_FIELDS);

struct owner_new {
    struct str email, password;
};
static const struct field OWNER_FIELDS[] = {
    FIELD(struct owner_new, email, CREATE | REQUIRED, "The address to log in with.", .min = 3,
          .max = EMAIL_MAX, .check = email_valid, .rule = EMAIL_RULE),
    FIELD(struct owner_new, password, CREATE | REQUIRED, "The password.", .min = PASSWORD_MIN,
          .max = PASSWORD_MAX),
};
static const struct schema OWNER_NEW = SCHEMA(struct owner_new, "OwnerNew", OWNER_FIELDS);

static const struct listing_sort SORTS[] = {
    {"created_at", &IDENTITY_STMTS[ORGANISATION_PAGE], "created_at", "id"},
};
const struct listing ORGANISATIONS = {.row = &ORGANISATION, .sorts = SORTS, .n_sorts = 1};

enum err organisation_find(struct ctx *cx, struct str slug_or_name, struct organisation *out) {
    bool found;
    enum err e = db_get(cx, &IDENTITY_STMTS[ORGANISATION_BY_KEY], ARGS(A(slug_or_name)), out, &found);
    if (e || found)
        return e;
    return fail(cx, ERR_NOT_FOUND, "There is no organisation %.*s.", STR_FMT(slug_or_name));
}

enum err organisation_list(struct ctx *cx, struct list *out) {
    return db_list(cx, &IDENTITY_STMTS[ORGANISATION_ALL], ARGS(), out);
}

struct str organisation_owner(const struct list *orgs, struct str item, struct uuid *org) {
    const struct organisation *all = orgs->items;
    struct str slug, rest;
    *org = all[0].id;
    if (str_cut(item, ':', &slug, &rest))
        for (size_t i = 0; i < orgs->n; i++)
            if (str_eq(all[i].slug, slug)) {
                *org = all[i].id;
                return rest;
            }
    return item;
}

/* Stores it under the first free slug. The name is known to be free; a row that appears between is a
 * conflict. */
static enum err insert(struct ctx *cx, struct organisation *org) {
    struct str base = slug_make(cx->mem, org->name);
    for (int64_t n = 1; n <= SLUG_TRIES; n++) {
        int64_t changed;
        org->slug = n == 1 ? base : str_printf(cx->mem, "%.*s-%lld", STR_FMT(base), (long long)n);
        enum err e = db_exec(cx, &IDENTITY_STMTS[ORGANISATION_INSERT],
                             args_of(cx, &ORGANISATION, org, ARGS()), &changed);
        if (e || changed)
            return e;
    }
    return fail(cx, ERR_CONFLICT, "The name %.*s is taken.", STR_FMT(org->name));
}

enum err organisation_choose(struct ctx *cx, struct str slug_or_name) {
    struct organisation org = {0};
    struct list all;
    enum err e = slug_or_name.p ? organisation_find(cx, slug_or_name, &org) : organisation_list(cx, &all);
    if (e)
        return e;
    if (!slug_or_name.p && all.n == 0)
        return fail(cx, ERR_NOT_FOUND, "There is no organisation yet.");
    cx->actor.org = slug_or_name.p ? org.id : ((const struct organisation *)all.items)[0].id;
    return OK;
}

enum err organisation_ensure(struct ctx *cx, struct str name, struct organisation *out, bool *created) {
    struct organisation org;
    bool found;
    enum err e = db_get(cx, &IDENTITY_STMTS[ORGANISATION_BY_NAME], ARGS(A(name)), &org, &found);
    if (e)
        return e;
    if (!found) {
        org = (struct organisation){.id = uuid_new(cx->now), .name = name, .created_at = cx->now};
        if ((e = insert(cx, &org)))
            return e;
        struct actor before = cx->actor;
        cx->actor.org = org.id;
        e = audit_change(cx, S("organisation.create"), org.slug, &ORGANISATION, NULL, &org);
        cx->actor = before;
        if (e)
            return e;
    }
    *out = org;
    *created = !found;
    return OK;
}

/* In a transaction: does the actor belong to the organisation that was there first? */
static enum err is_first(struct ctx *cx, bool *out) {
    struct organisation first;
    bool found;
    enum err e = db_get(cx, &IDENTITY_STMTS[ORGANISATION_FIRST], ARGS(), &first, &found);
    if (!e)
        *out = found && uuid_eq(first.id, cx->actor.org);
    return e;
}

struct founding {
    struct answer *an;
    struct str name, hash;
    struct user owner;
    struct organisation org;
};

static enum err run_create(struct ctx *cx, void *arg) {
    struct founding *f = arg;
    bool first, created;
    enum err e = is_first(cx, &first);
    if (e)
        return e;
    if (!first)
        return fail(cx, ERR_FORBIDDEN, "Only an owner of the oldest organisation makes new ones.");
    if ((e = organisation_ensure(cx, f->name, &f->org, &created)))
        return e;
    if (!created)
        return fail(cx, ERR_CONFLICT, "There is an organisation %.*s already.", STR_FMT(f->name));
    /* What follows belongs to the new organisation; a closure may run twice, so the actor is put back. */
    struct actor before = cx->actor;
    organisation_created_fn *hook = identity_of(cx)->on_organisation;
    cx->actor.org = f->org.id;
    e = user_insert(cx, &f->owner, f->hash);
    if (!e && hook)
        e = hook(cx, &f->org);
    cx->actor = before;
    return e ? e : answer_object(cx, f->an, 201, &ORGANISATION, &f->org);
}

static enum err decode_owner(struct ctx *cx, struct json body, struct user *out) {
    struct owner_new owner;
    enum err e = schema_decode(cx, &OWNER_NEW, CREATE, REFUSE_UNKNOWN, body.text, &owner, NULL);
    for (size_t i = 0; e && i < cx->fault.n; i++)
        cx->fault.problems[i].field = str_printf(cx->mem, "owner.%.*s", STR_FMT(cx->fault.problems[i].field));
    if (!e)
        *out = (struct user){.email = owner.email, .password = owner.password, .role = role_name(ROLE_OWNER)};
    return e;
}

enum err organisations_create(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct organisation_new *in = rq->in;
    struct founding f = {.an = an, .name = str_trim(in->name)};
    if (f.name.n == 0)
        return fail_field(cx, S("name"), "must not be empty");
    enum err e = decode_owner(cx, in->owner, &f.owner);
    if (e || (e = user_hash(cx, f.owner.password, &f.hash)) ||
        (e = idempotency_write(cx, rq, an, run_create, &f)))
        return e;
    identity_changed(cx);
    return OK;
}

enum err organisations_get(struct ctx *cx, struct request *rq, struct answer *an) {
    bool all = cx->actor.role == ROLE_OPERATOR;
    enum err e = cx->actor.role == ROLE_OWNER ? is_first(cx, &all) : OK;
    if (e || all)
        return e ? e : listing_answer(cx, rq, an);
    struct organisation own;
    bool found;
    if ((e = db_get(cx, &IDENTITY_STMTS[ORGANISATION_GET], ARGS(A(cx->actor.org)), &own, &found)))
        return e;
    return answer_list(cx, an, &ORGANISATION, (struct list){&own, found}, 1, PAGE_SIZE_DEFAULT,
                       (struct str){0});
}

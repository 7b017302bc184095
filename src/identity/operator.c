#include "identity/email.h"
#include "identity/handlers.h"
#include "identity/password.h"
#include "identity/state.h"
#include "identity/user.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"

#include "base/banned.h"

#define BODY_MAX 4096

struct user_add {
    struct str email, organisation, role, password;
};
static const struct field USER_ADD_FIELDS[] = {
    FIELD(struct user_add, email, CREATE | REQUIRED, "The address to log in with.", .min = 3,
          .max = EMAIL_MAX, .check = email_valid, .rule = EMAIL_RULE),
    FIELD(struct user_add, organisation, CREATE | REQUIRED, "The organisation's slug or name.", .min = 1,
          .max = 200),
    FIELD(struct user_add, role, CREATE | REQUIRED, "What the user may do.", .one_of = ROLE_NAMES),
    FIELD(struct user_add, password, CREATE, "The password; one is made if not given.", .min = PASSWORD_MIN,
          .max = PASSWORD_MAX),
};
const struct schema USER_ADD = SCHEMA(struct user_add, "UserAdd", USER_ADD_FIELDS);

struct user_added {
    struct uuid id;
    struct str email, role, organisation, password;
};
static const struct field USER_ADDED_FIELDS[] = {
    FIELD(struct user_added, id, OUT | REQUIRED, "The user's number."),
    FIELD(struct user_added, email, OUT | REQUIRED, "The address to log in with."),
    FIELD(struct user_added, role, OUT | REQUIRED, "What the user may do."),
    FIELD(struct user_added, organisation, OUT | REQUIRED, "The organisation's slug."),
    FIELD(struct user_added, password, OUT, "The password that was made; it is shown this once."),
};
const struct schema USER_ADDED = SCHEMA(struct user_added, "UserAdded", USER_ADDED_FIELDS);

struct adding {
    const struct user_add *in;
    struct str hash;
    struct user user;
    struct organisation org;
};

static enum err run_add(struct ctx *cx, void *arg) {
    struct adding *a = arg;
    enum err e = organisation_find(cx, a->in->organisation, &a->org);
    if (e)
        return e;
    struct actor before = cx->actor;
    cx->actor.org = a->org.id;
    a->user = (struct user){.email = a->in->email, .role = a->in->role};
    e = user_insert(cx, &a->user, a->hash);
    cx->actor = before;
    return e;
}

enum err operator_user_add(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct user_add *in = rq->in;
    struct adding a = {.in = in};
    struct str made = in->password.p ? (struct str){0} : password_random(cx);
    enum err e = password_hash(cx, made.p ? made : in->password, &a.hash);
    if (e || (e = db_write_wait(cx, run_add, &a)))
        return e;
    identity_changed(cx);
    struct user_added out = {a.user.id, a.user.email, a.user.role, a.org.slug, made};
    return answer_object(cx, an, 201, &USER_ADDED, &out);
}

enum { ORG, ROLE, PASSWORD_STDIN };
const struct option USER_ADD_OPTIONS[] = {
    [ORG] = {"org", "NAME", true, "The organisation, by its name or slug."},
    [ROLE] = {"role", "ROLE", true, "owner, manager, clerk or viewer."},
    [PASSWORD_STDIN] = {"password-stdin", NULL, false,
                        "Read the password from standard input; else one is made."},
    {NULL, NULL, false, NULL},
};

/* The first line of standard input. */
static enum err read_password(struct ctx *cx, struct str *out) {
    struct buf b = buf_new(cx->mem, PASSWORD_MAX * 4 + 2);
    char c;
    ssize_t n;
    while ((n = read(STDIN_FILENO, &c, 1)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0 && c == '\n')
            break;
        if (n > 0)
            buf_byte(&b, c);
    }
    struct str line = buf_str(&b);
    if (str_ends(line, S("\r")))
        line.n--;
    if (n < 0 || b.failed || line.n == 0)
        return fail(cx, ERR_USAGE, "There is no good password on standard input.");
    *out = line;
    return OK;
}

enum err user_add_request(struct ctx *cx, const struct command_line *line, struct str *target,
                          struct str *body) {
    struct str password = {0};
    if (line->option[PASSWORD_STDIN].p) {
        enum err e = read_password(cx, &password);
        if (e)
            return e;
    }
    const struct {
        struct str key, value;
    } members[] = {{S("email"), line->words[0]},
                   {S("organisation"), line->option[ORG]},
                   {S("role"), line->option[ROLE]},
                   {S("password"), password}};
    struct buf b = buf_new(cx->mem, BODY_MAX);
    bool first = true;
    buf_byte(&b, '{');
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_put_key(&b, &first, members[i].key);
        json_put_string(&b, members[i].value);
    }
    buf_byte(&b, '}');
    if (b.failed)
        return fail(cx, ERR_USAGE, "The words of the command are too long.");
    *target = S("/operator/users");
    *body = buf_str(&b);
    return OK;
}

void user_add_print(struct ctx *cx, struct str data) {
    struct user_added u;
    if (schema_decode(cx, &USER_ADDED, OUT, IGNORE_UNKNOWN, data, &u, NULL))
        return;
    printf("Added %.*s to %.*s as %.*s.\n", STR_FMT(u.email), STR_FMT(u.organisation), STR_FMT(u.role));
    if (u.password.p)
        printf("The password, shown this once: %.*s\n", STR_FMT(u.password));
}

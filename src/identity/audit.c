#include "identity/audit.h"

#include "identity/statements.h"

#include "base/banned.h"

#define AUDIT_JSON_MAX (256 * 1024)

enum { ID, RECORDED_AT, ACTOR, ACTION, TARGET, BEFORE, AFTER, REQUEST_ID, AUDIT_ARGS };

enum err audit_step(struct ctx *cx, struct str action, struct str target, struct json before,
                    struct json after, struct step *out) {
    struct arg *v = NEW_N(cx->mem, struct arg, AUDIT_ARGS);
    if (!v)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    v[ID] = A(uuid_new(cx->now));
    v[RECORDED_AT] = A(cx->now);
    v[ACTOR] = A(cx->actor.name.p ? cx->actor.name : S("system"));
    v[ACTION] = A(action);
    v[TARGET] = A(target);
    v[BEFORE] = A(before);
    v[AFTER] = A(after);
    v[REQUEST_ID] = A(cx->request_id);
    *out = (struct step){.st = &IDENTITY_STMTS[AUDIT_INSERT], .args = {v, AUDIT_ARGS}};
    return OK;
}

enum err audit_write(struct ctx *cx, struct str action, struct str target, struct json before,
                     struct json after) {
    struct step step;
    enum err e = audit_step(cx, action, target, before, after, &step);
    return e ? e : db_exec(cx, step.st, step.args, NULL);
}

struct json audit_json(struct ctx *cx, const struct schema *s, const void *object) {
    struct buf b = buf_new(cx->mem, AUDIT_JSON_MAX);
    schema_encode(s, OUT, object, &b);
    return (struct json){b.failed ? (struct str){0} : buf_str(&b)};
}

#include "identity/audit.h"

#include "identity/statements.h"

#include "base/banned.h"

#define AUDIT_JSON_MAX (4 << 20) /* the longest exception and a booking of 500 lines fit */

static const struct field ENTRY_FIELDS[] = {
    FIELD(struct audit_entry, id, OUT | ROW | REQUIRED, "Its id."),
    FIELD(struct audit_entry, recorded_at, OUT | ROW | REQUIRED, "When it was done."),
    FIELD(struct audit_entry, actor, OUT | ROW | REQUIRED,
          "Who did it: a user's address, a service, or operator for the administrator at the machine."),
    FIELD(struct audit_entry, action, OUT | ROW | REQUIRED, "What was done: a kind of thing, a dot, a verb."),
    FIELD(struct audit_entry, target, OUT | ROW | REQUIRED,
          "The key of the thing: a SKU, an address, an id."),
    FIELD(struct audit_entry, before, OUT | ROW, "What it was; of a change only what differs.",
          .column = "before_json"),
    FIELD(struct audit_entry, after, OUT | ROW, "What it became; of a change only what differs.",
          .column = "after_json"),
    FIELD(struct audit_entry, request_id, OUT | ROW, "The request that did it, as the log has it."),
};
const struct schema AUDIT_ENTRY = SCHEMA(struct audit_entry, "AuditEntry", ENTRY_FIELDS);

enum { ID, RECORDED_AT, ACTOR, ACTION, TARGET, BEFORE, AFTER, REQUEST_ID, AUDIT_ARGS };

/* As audit_json says it: without a text, yet with a length. */
static bool did_not_fit(struct json j) { return !j.text.p && j.text.n > 0; }

enum err audit_step(struct ctx *cx, struct str action, struct str target, struct json before,
                    struct json after, struct step *out) {
    struct arg *v = NEW_N(cx->mem, struct arg, AUDIT_ARGS);
    if (!v || did_not_fit(before) || did_not_fit(after))
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
    return e ? e : db_tell(cx, step.st, step.args);
}

enum err audit_add(struct steps *rows, struct ctx *cx, struct str action, struct str target,
                   struct json before, struct json after) {
    struct step step;
    enum err e = audit_step(cx, action, target, before, after, &step);
    if (!e)
        (void)steps_add_row(rows, &IDENTITY_STMTS[AUDIT_INSERT_ROWS], step.args);
    return e;
}

struct json audit_json(struct ctx *cx, const struct schema *s, const void *object) {
    struct buf b = buf_new(cx->mem, AUDIT_JSON_MAX);
    schema_encode(s, OUT, object, &b);
    return (struct json){b.failed ? (struct str){NULL, 1} : buf_str(&b)};
}

/* The fields of s whose values differ between two objects. */
static bool differing(struct ctx *cx, const struct schema *s, const void *a, const void *b,
                      struct schema *out) {
    struct field *fields = NEW_N(cx->mem, struct field, s->n + 1);
    *out = (struct schema){s->name, s->size, fields, 0};
    for (size_t i = 0; fields && i < s->n; i++) {
        struct schema one = {s->name, s->size, &s->fields[i], 1};
        struct str was = audit_json(cx, &one, a).text, is = audit_json(cx, &one, b).text;
        if (!was.p || !is.p)
            return false;
        if (!str_eq(was, is))
            fields[out->n++] = s->fields[i];
    }
    return fields != NULL;
}

enum err audit_change(struct ctx *cx, struct str action, struct str target, const struct schema *s,
                      const void *before, const void *after) {
    struct schema only = *s;
    bool good = !before || !after || differing(cx, s, before, after, &only);
    struct json was = {0}, is = {0};
    if (before)
        was = audit_json(cx, &only, before);
    if (after)
        is = audit_json(cx, &only, after);
    if (!good || (before && !was.text.p) || (after && !is.text.p))
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    return audit_write(cx, action, target, was, is);
}

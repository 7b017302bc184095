#include "services/smartsheet_hook.h"

#include "base/json.h"

#include "base/banned.h"

#define HOOKS_MAX 10000
#define BODY_MAX 8192
#define VERIFY_US                                                                            \
    (60 * US_PER_S) /* Smartsheet asks back while it is asked; it does not say how patiently \
                     */

static const struct field HOOK_FIELDS[] = {
    FIELD(struct smartsheet_hook, id, CREATE | REQUIRED, "Its number."),
    FIELD(struct smartsheet_hook, name, CREATE, "What it is called."),
    FIELD_AS(struct smartsheet_hook, url, "callbackUrl", CREATE, "Where it calls."),
    FIELD(struct smartsheet_hook, scope, CREATE, "sheet."),
    FIELD_AS(struct smartsheet_hook, sheet, "scopeObjectId", CREATE, "Which one."),
    FIELD(struct smartsheet_hook, enabled, CREATE, "Whether it is on."),
    FIELD(struct smartsheet_hook, status, CREATE, "Why."),
    FIELD_AS(struct smartsheet_hook, details, "disabledDetails", CREATE, "More of why it is off."),
    FIELD_AS(struct smartsheet_hook, secret, "sharedSecret", CREATE, "What it signs with."),
    FIELD_AS(struct smartsheet_hook, created_at, "createdAt", CREATE, "When it was made."),
};
static const struct schema HOOK = SCHEMA(struct smartsheet_hook, "webhook", HOOK_FIELDS);

struct hooks {
    struct list data;
};
static const struct field HOOKS_FIELDS[] = {
    FIELD(struct hooks, data, CREATE | REQUIRED, "All.", .max = HOOKS_MAX, .of = &HOOK),
};
static const struct schema HOOKS = SCHEMA(struct hooks, "list of webhooks", HOOKS_FIELDS);

/* What every call that changes something is answered with. */
struct result {
    struct json result;
};
static const struct field RESULT_FIELDS[] = {
    FIELD(struct result, result, CREATE | REQUIRED, "What came of it.")};
static const struct schema RESULT = SCHEMA(struct result, "result", RESULT_FIELDS);

struct new_secret {
    struct str secret;
};
static const struct field SECRET_FIELDS[] = {
    FIELD_AS(struct new_secret, secret, "sharedSecret", CREATE | REQUIRED, "The new one.", .min = 1)};
static const struct schema SECRET = SCHEMA(struct new_secret, "secret", SECRET_FIELDS);

static struct str path_of(struct ctx *cx, int64_t id, const char *after) {
    return str_printf(cx->mem, "/webhooks/%lld%s", (long long)id, after);
}

static enum err change(struct ctx *cx, const struct job *job, const struct smartsheet_question *q,
                       const struct schema *of, void *out) {
    struct result r;
    enum err e = smartsheet_ask(cx, job, q, &RESULT, &r);
    if (e)
        return e;
    e = schema_decode(cx, of, CREATE, IGNORE_UNKNOWN, r.result.text, out, NULL);
    if (e != ERR_MALFORMED && e != ERR_INVALID)
        return e;
    fault_clear(cx);
    return fail(cx, ERR_UNAVAILABLE, "Smartsheet's answer has no %s.", of->name);
}

enum err smartsheet_hooks(struct ctx *cx, const struct job *job, struct str token, struct list *out) {
    struct smartsheet_question q = {.path = S("/webhooks?includeAll=true"), .token = token};
    struct hooks all;
    enum err e = smartsheet_ask(cx, job, &q, &HOOKS, &all);
    *out = e ? (struct list){0} : all.data;
    return e;
}

enum err smartsheet_hook_get(struct ctx *cx, const struct job *job, struct str token, int64_t id,
                             struct smartsheet_hook *out) {
    struct smartsheet_question q = {.path = path_of(cx, id, ""), .token = token};
    return smartsheet_ask(cx, job, &q, &HOOK, out);
}

enum err smartsheet_hook_create(struct ctx *cx, const struct job *job, struct str token, int64_t sheet,
                                struct str name, struct str url, struct smartsheet_hook *out) {
    struct buf b = buf_new(cx->mem, BODY_MAX);
    buf_add(&b, S("{\"name\":"));
    json_put_string(&b, name);
    buf_add(&b, S(",\"callbackUrl\":"));
    json_put_string(&b, url);
    buf_printf(&b, ",\"scope\":\"sheet\",\"scopeObjectId\":%lld,\"events\":[\"*.*\"],\"version\":1}",
               (long long)sheet);
    if (b.failed)
        return fail(cx, ERR_USAGE, "The address for Smartsheet's webhooks is too long.");
    struct smartsheet_question q = {
        .method = "POST", .path = S("/webhooks"), .token = token, .body = buf_str(&b)};
    return change(cx, job, &q, &HOOK, out);
}

enum err smartsheet_hook_enable(struct ctx *cx, const struct job *job, struct str token, int64_t id, bool on,
                                struct smartsheet_hook *out) {
    struct smartsheet_question q = {.method = "PUT",
                                    .path = path_of(cx, id, ""),
                                    .token = token,
                                    .body = on ? S("{\"enabled\":true}") : S("{\"enabled\":false}"),
                                    .timeout_us = VERIFY_US};
    return change(cx, job, &q, &HOOK, out);
}

enum err smartsheet_hook_new_secret(struct ctx *cx, const struct job *job, struct str token, int64_t id,
                                    struct str *secret) {
    struct smartsheet_question q = {
        .method = "POST", .path = path_of(cx, id, "/resetSharedSecret"), .token = token, .body = S("{}")};
    struct new_secret made;
    enum err e = change(cx, job, &q, &SECRET, &made);
    if (!e)
        *secret = made.secret;
    return e;
}

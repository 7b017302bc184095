#include "net/openapi.h"

#include "net/listing.h"
#include "net/operation.h"

#include "base/asset.h"
#include "base/json.h"

#include <sodium.h>

#include "base/banned.h"

#define DOCUMENT_MAX (8u << 20)
#define SCHEMAS_MAX 512

struct named {
    const struct schema *schema;
    enum use use;
};
struct names {
    struct named list[SCHEMAS_MAX];
    size_t n;
};

static void put(struct buf *b, const char *text) { buf_add(b, str_of(text)); }

static enum err name(struct ctx *cx, struct names *names, const struct schema *s, enum use use) {
    for (size_t i = 0; s && i < names->n; i++) {
        const struct named *other = &names->list[i];
        if (other->use != use || !str_eq(str_of(other->schema->name), str_of(s->name)))
            continue;
        if (other->schema != s)
            return fail(cx, ERR_USAGE, "Two schemas have the name %s.", s->name);
        return OK;
    }
    if (!s)
        return OK;
    if (names->n == SCHEMAS_MAX)
        return fail(cx, ERR_USAGE, "There are more than %d schemas.", SCHEMAS_MAX);
    names->list[names->n++] = (struct named){s, use};
    return OK;
}

static enum err collect(struct ctx *cx, const struct router *r, struct names *names) {
    for (const struct endpoint *ep = r->endpoints; ep; ep = ep->next)
        for (int m = 0; m < METHODS; m++) {
            const struct route *route = ep->routes[m];
            if (!route || route->area == AREA_OPERATOR)
                continue;
            enum err e = name(cx, names, route->in, route->in_use == PATCH ? PATCH : CREATE);
            if (e || (e = name(cx, names, route->out, OUT)) || (e = name(cx, names, route->out_each, OUT)))
                return e;
            if (route->flags & ROUTE_LIST && (e = name(cx, names, route->listing->row, OUT)))
                return e;
        }
    return OK;
}

static void put_schemas(struct buf *b, const struct names *names) {
    put(b, "\"schemas\":{\"error\":{\"type\":\"object\",\"required\":[\"data\",\"error\"],"
           "\"additionalProperties\":"
           "false,\"properties\":{\"data\":{\"type\":\"null\"},\"error\":{\"type\":\"object\",\"required\":["
           "\"code\","
           "\"message\",\"details\",\"request_id\"],\"additionalProperties\":false,\"properties\":{\"code\":{"
           "\"type\":"
           "\"string\",\"enum\":[");
    for (enum err e = OK + 1; e < ERR_COUNT; e++) {
        put(b, e > OK + 1 ? "," : "");
        json_put_string(b, str_of(err_info(e)->code));
    }
    put(b,
        "]},\"message\":{\"type\":\"string\"},\"details\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
        "\"required\":[\"field\",\"problem\"],\"additionalProperties\":false,\"properties\":{\"field\":{"
        "\"type\":"
        "\"string\"},\"problem\":{\"type\":\"string\"}}}},\"request_id\":{\"type\":\"string\"}}}}},");
    put(b, "\"page\":{\"type\":\"object\",\"required\":[\"page\",\"page_size\",\"next_cursor\"],"
           "\"additionalProperties\":false,\"properties\":{\"page\":{\"type\":\"integer\"},\"page_size\":{"
           "\"type\":"
           "\"integer\"},\"next_cursor\":{\"type\":[\"string\",\"null\"],\"description\":\"null at the "
           "end\"}}}");
    for (size_t i = 0; i < names->n; i++) {
        const struct named *n = &names->list[i];
        struct str suffix = schema_suffix(n->use);
        buf_printf(b, ",\"%s%.*s\":", n->schema->name, STR_FMT(suffix));
        schema_document(n->schema, n->use, b);
    }
    put(b, "}");
}

/* "code: what it means" of every error with this status, in one sentence after the other. */
static struct str describe(struct arena *mem, int status) {
    struct buf text = buf_new(mem, 4096);
    for (enum err e = OK + 1; e < ERR_COUNT; e++)
        if (err_info(e)->status == status)
            buf_printf(&text, "%s%s: %s", text.n ? " " : "", err_info(e)->code, err_info(e)->doc);
    return buf_str(&text);
}

static void put_errors(struct buf *b) {
    bool first = true;
    put(b, "\"responses\":{");
    for (int status = 400; status < 600; status++) {
        struct str text = describe(b->mem, status);
        if (text.n == 0)
            continue;
        buf_printf(b, "%s\"error_%d\":{\"description\":", first ? "" : ",", status);
        json_put_string(b, text);
        first = false;
        put(b, ",\"headers\":{\"X-Request-ID\":{\"$ref\":\"#/components/headers/X-Request-ID\"}");
        if (status == 429 || status == 503)
            put(b, ",\"Retry-After\":{\"$ref\":\"#/components/headers/Retry-After\"}");
        put(b,
            "},\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/error\"}}}}");
    }
    put(b, "}");
}

static void put_paths(struct buf *b, const struct router *r) {
    static const char *const VERBS[METHODS] = {"get", "post", "patch", "put", "delete"};
    bool first_path = true;
    put(b, "\"paths\":{");
    for (const struct endpoint *ep = r->endpoints; ep; ep = ep->next) {
        bool open = false;
        for (int m = 0; m < METHODS; m++) {
            if (!ep->routes[m] || ep->routes[m]->area == AREA_OPERATOR)
                continue;
            if (!open)
                buf_printf(b, "%s\"%s\":{", first_path ? "" : ",", ep->path);
            buf_printf(b, "%s\"%s\":", open ? "," : "", VERBS[m]);
            operation_print(b, ep->routes[m]);
            open = true;
            first_path = false;
        }
        put(b, open ? "}" : "");
    }
    put(b, "}");
}

enum err openapi_print(struct ctx *cx, const struct router *r, struct buf *b) {
    struct names *names = NEW(b->mem, struct names);
    if (!names)
        return fail(cx, ERR_MEMORY, "There is not enough memory for the document.");
    enum err e = collect(cx, r, names);
    if (e)
        return e;
    put(b, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"entrepot\",\"version\":\"" ENTREPOT_VERSION
           "\",\"description\":\"Inventory and order operations. Every answer is {data, error}; errors name "
           "a code and the "
           "fields that are wrong.\",\"license\":{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}},"
           "\"servers\":[{\"url\":\"/\"}],\"security\":[{\"bearer\":[]}],");
    put_paths(b, r);
    put(b, ",\"components\":{");
    put_schemas(b, names);
    put(b, ",");
    put_errors(b);
    put(b,
        ",\"headers\":{\"X-Request-ID\":{\"description\":\"Names the request in log lines; taken from the "
        "request if "
        "it is 1 to 64 safe characters.\",\"schema\":{\"type\":\"string\"}},\"Retry-After\":{\"description\":"
        "\"Seconds to "
        "wait.\",\"schema\":{\"type\":\"integer\"}}},\"securitySchemes\":{\"bearer\":{\"type\":\"http\","
        "\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\"}}}}");
    return b->failed ? fail(cx, ERR_MEMORY, "There is not enough memory for the document.") : OK;
}

static struct str find_css(void) {
    for (size_t i = 0; i < assets_count; i++)
        if (str_eq(str_of(assets[i].path), S("src/net/pages.css")))
            return (struct str){(const char *)assets[i].bytes, assets[i].size};
    return S("");
}

static void make_policy(struct router *r) {
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[64];
    crypto_hash_sha256(hash, (const unsigned char *)r->css.p, r->css.n);
    sodium_bin2base64(text, sizeof(text), hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
    r->policy = str_printf(r->mem,
                           "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; "
                           "frame-ancestors 'none'",
                           text);
}

enum err documents_make(struct ctx *cx, struct router *r) {
    struct arena *scratch = arena_new(4 * DOCUMENT_MAX);
    if (!scratch)
        return fail(cx, ERR_MEMORY, "There is not enough memory for the documents.");
    struct buf document = buf_new(scratch, DOCUMENT_MAX), docs = buf_new(scratch, DOCUMENT_MAX);
    r->css = find_css();
    make_policy(r);
    enum err e = openapi_print(cx, r, &document);
    docs_print(r, &docs);
    if (!e) {
        r->document = str_dup(r->mem, buf_str(&document));
        r->docs = str_dup(r->mem, buf_str(&docs));
        if (docs.failed || !r->document.p || !r->docs.p || !r->policy.p)
            e = fail(cx, ERR_MEMORY, "There is not enough memory for the documents.");
    }
    arena_free(scratch);
    return e;
}

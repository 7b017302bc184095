#include "core/seed.h"

#include "base/json.h"
#include "core/demo.h"
#include "core/item.h"
#include "core/place.h"
#include "identity/identity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

struct seed_args {
    struct str organisation;
    bool demo, force;
};
static const struct field ARGS_FIELDS[] = {
    FIELD(struct seed_args, organisation, CREATE, "Its name; Default if not said.", .min = 1, .max = 200),
    FIELD(struct seed_args, demo, CREATE, "Whether to add the demo company: a year of it."),
    FIELD(struct seed_args, force, CREATE, "Whether to do so beside items of the organisation's own."),
};
static const struct schema SEED_ARGS = SCHEMA(struct seed_args, "Seed", ARGS_FIELDS);

struct seed_result {
    struct str organisation, name;
    bool created;
    int64_t items, moves, deliveries;
};
static const struct field RESULT_FIELDS[] = {
    FIELD(struct seed_result, organisation, CREATE | OUT, "The organisation's slug."),
    FIELD(struct seed_result, name, CREATE | OUT, "Its name."),
    FIELD(struct seed_result, created, CREATE | OUT, "Whether it is new."),
    FIELD(struct seed_result, items, CREATE | OUT, "How many items were added."),
    FIELD(struct seed_result, moves, CREATE | OUT, "How many moves were added."),
    FIELD(struct seed_result, deliveries, CREATE | OUT, "How many deliveries were added."),
};
static const struct schema RESULT = SCHEMA(struct seed_result, "SeedResult", RESULT_FIELDS);

static enum err add_item(struct ctx *cx, struct item it, struct seed_result *r) {
    bool created;
    enum err e = item_create(cx, &it, &created);
    r->items += !e && created;
    return e;
}

enum err seed_organisation_created(struct ctx *cx, const struct organisation *org) {
    (void)org;
    return place_ensure_standard(cx);
}

/* What is to be done, and the closure's result: written whole each time that it runs. */
struct seeding {
    const struct seed_args *in;
    struct organisation org;
    struct seed_result result;
};

static enum err seed_standard(struct ctx *cx, void *arg) {
    struct seeding *s = arg;
    struct str name = s->in->organisation.p ? s->in->organisation : S("Default");
    s->result = (struct seed_result){0};
    enum err e = organisation_ensure(cx, name, &s->org, &s->result.created);
    if (e)
        return e;
    cx->actor.org = s->org.id;
    cx->actor.name = S("seed");
    struct item test = {.sku = S("TEST-SKU-001"), .name = S("Test item")};
    if ((e = place_ensure_standard(cx)))
        return e;
    return add_item(cx, test, &s->result);
}

static enum err seed(struct ctx *cx, struct request *rq, struct answer *an) {
    struct seeding s = {.in = rq->in};
    struct demo_count added = {0};
    enum err e = db_write_wait(cx, seed_standard, &s);
    if (e || (s.in->demo && (e = demo_load(cx, s.org.slug, s.in->force, &added))))
        return e;
    s.result.organisation = s.org.slug;
    s.result.name = s.org.name;
    s.result.items += added.items;
    s.result.moves = added.moves;
    s.result.deliveries = added.deliveries;
    return answer_object(cx, an, 200, &RESULT, &s.result);
}

static const enum err IN_USE[] = {ERR_CONFLICT, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/seed", SLOW, AREA_OPERATOR, NEED_WRITE, seed,
          "Gives an organisation what it starts with, making it if it is new.", .in = &SEED_ARGS,
          .in_use = CREATE, .out = &RESULT, .errors = IN_USE),
};

enum { DEMO, ORG, FORCE, SEED_OPTIONS };
static const struct option OPTIONS[] = {
    [DEMO] = {"demo", NULL, false, "Add the demo company: some thousand items and a year of what happens."},
    [ORG] = {"org", "NAME", false, "The organisation; Default if not said."},
    [FORCE] = {"force", NULL, false, "With --demo: even where the organisation has items of its own."},
    [SEED_OPTIONS] = {NULL, NULL, false, NULL},
};

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    struct buf b = buf_new(cx->mem, 1024);
    bool first = true;
    buf_byte(&b, '{');
    json_put_key(&b, &first, S("organisation"));
    json_put_string(&b, line->option[ORG]);
    json_put_key(&b, &first, S("demo"));
    buf_add(&b, line->option[DEMO].p ? S("true") : S("false"));
    json_put_key(&b, &first, S("force"));
    buf_add(&b, line->option[FORCE].p ? S("true}") : S("false}"));
    *target = S("/operator/seed");
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The name of the organisation is too long.") : OK;
}

static void print(struct ctx *cx, struct str data) {
    struct seed_result r;
    if (schema_decode(cx, &RESULT, OUT, IGNORE_UNKNOWN, data, &r, NULL))
        return;
    printf("%.*s (%.*s) %s: %" PRId64 " items, %" PRId64 " moves and %" PRId64 " deliveries added\n",
           STR_FMT(r.name), STR_FMT(r.organisation), r.created ? "is new" : "was there", r.items, r.moves,
           r.deliveries);
}

static const struct command COMMANDS[] = {
    {.name = "seed",
     .options = OPTIONS,
     .doc = "Gives an organisation what it starts with, making it if it is new.",
     .method = POST,
     .request = request,
     .print = print},
};

const struct module SEED_MODULE = {.name = "seed", TABLE(routes, ROUTES), TABLE(commands, COMMANDS)};

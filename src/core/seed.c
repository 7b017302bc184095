#include "core/seed.h"

#include "base/json.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/place.h"
#include "identity/identity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

struct seed_args {
    struct str organisation;
    bool demo;
};
static const struct field ARGS_FIELDS[] = {
    FIELD(struct seed_args, organisation, CREATE, "Its name; Default if not said.", .min = 1, .max = 200),
    FIELD(struct seed_args, demo, CREATE, "Whether to add the demo company's goods."),
};
static const struct schema SEED_ARGS = SCHEMA(struct seed_args, "Seed", ARGS_FIELDS);

struct seed_result {
    struct str organisation, name;
    bool created;
    int64_t items, moves;
};
static const struct field RESULT_FIELDS[] = {
    FIELD(struct seed_result, organisation, CREATE | OUT, "The organisation's slug."),
    FIELD(struct seed_result, name, CREATE | OUT, "Its name."),
    FIELD(struct seed_result, created, CREATE | OUT, "Whether it is new."),
    FIELD(struct seed_result, items, CREATE | OUT, "How many items were added."),
    FIELD(struct seed_result, moves, CREATE | OUT, "How many moves were added."),
};
static const struct schema RESULT = SCHEMA(struct seed_result, "SeedResult", RESULT_FIELDS);

static const struct {
    const char *sku, *name, *brand, *category, *price;
} GOODS[] = {
    {"DEMO-MUG-01", "Enamel mug, 350 ml", "Northlight", "Kitchen", "9.90"},
    {"DEMO-MUG-02", "Enamel mug, 500 ml", "Northlight", "Kitchen", "11.90"},
    {"DEMO-PAN-24", "Iron pan, 24 cm", "Northlight", "Kitchen", "34.00"},
    {"DEMO-PAN-28", "Iron pan, 28 cm", "Northlight", "Kitchen", "42.00"},
    {"DEMO-LAMP-A", "Desk lamp, brass", "Fernway", "Lighting", "59.00"},
    {"DEMO-LAMP-B", "Desk lamp, black", "Fernway", "Lighting", "54.00"},
    {"DEMO-BULB-5", "LED bulb, 5 W, box of four", "Fernway", "Lighting", "12.50"},
    {"DEMO-BULB-9", "LED bulb, 9 W, box of four", "Fernway", "Lighting", "15.50"},
    {"DEMO-TENT-2", "Tent for two", "Opengrove", "Outdoor", "149.00"},
    {"DEMO-TENT-4", "Tent for four", "Opengrove", "Outdoor", "219.00"},
    {"DEMO-MAT-S", "Sleeping mat, short", "Opengrove", "Outdoor", "29.00"},
    {"DEMO-MAT-L", "Sleeping mat, long", "Opengrove", "Outdoor", "35.00"},
    {"DEMO-ROPE-10", "Rope, 10 m", "Opengrove", "Outdoor", "14.00"},
    {"DEMO-ROPE-30", "Rope, 30 m", "Opengrove", "Outdoor", "32.00"},
    {"DEMO-DRILL", "Hand drill", "Tarn & Co", "Tools", "24.00"},
    {"DEMO-SAW-45", "Bow saw, 45 cm", "Tarn & Co", "Tools", "19.00"},
    {"DEMO-TAPE-3", "Tape measure, 3 m", "Tarn & Co", "Tools", "6.50"},
    {"DEMO-TAPE-8", "Tape measure, 8 m", "Tarn & Co", "Tools", "11.00"},
    {"DEMO-CLAMP", "Clamp, pair", "Tarn & Co", "Tools", "17.00"},
    {"DEMO-GLOVES", "Work gloves", "Tarn & Co", "Tools", "8.00"},
};
#define GOODS_N (sizeof(GOODS) / sizeof(GOODS[0]))

static enum err add_item(struct ctx *cx, struct item it, struct seed_result *r) {
    bool created;
    enum err e = item_create(cx, &it, &created);
    r->items += !e && created;
    return e;
}

static enum err receive(struct ctx *cx, struct str sku, int64_t quantity, struct str to,
                        struct seed_result *r) {
    struct move m = {.sku = sku,
                     .quantity = quantity,
                     .from = S("supplier"),
                     .to = to,
                     .reason = S("demo stock"),
                     .source = S("seed"),
                     .source_ref = S("demo")};
    size_t n = 1;
    enum posted posted;
    enum err e = ledger_post(cx, &m, &n, REQUEST, &posted);
    r->moves += !e && posted == POSTED;
    return e;
}

static enum err demo(struct ctx *cx, struct seed_result *r) {
    for (size_t i = 0; i < GOODS_N; i++) {
        struct item it = {.sku = str_of(GOODS[i].sku),
                          .name = str_of(GOODS[i].name),
                          .brand = str_of(GOODS[i].brand),
                          .category = str_of(GOODS[i].category)};
        if (!money_parse(str_of(GOODS[i].price), S("USD"), &it.price))
            return fail(cx, ERR_INTERNAL, "The demo's price %s is no amount.", GOODS[i].price);
        enum err e = add_item(cx, it, r);
        if (e || (e = receive(cx, it.sku, (int64_t)(7 + 13 * i % 90), S("warehouse"), r)))
            return e;
    }
    return OK;
}

enum err seed_organisation_created(struct ctx *cx, const struct organisation *org) {
    (void)org;
    return place_ensure_standard(cx);
}

static enum err seed(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct seed_args *in = rq->in;
    struct organisation org;
    struct seed_result r = {0};
    enum err e =
        organisation_ensure(cx, in->organisation.p ? in->organisation : S("Default"), &org, &r.created);
    if (e)
        return e;
    cx->actor.org = org.id;
    cx->actor.name = S("seed");
    struct item test = {.sku = S("TEST-SKU-001"), .name = S("Test item")};
    if ((e = place_ensure_standard(cx)) || (e = add_item(cx, test, &r)) || (in->demo && (e = demo(cx, &r))))
        return e;
    r.organisation = org.slug;
    r.name = org.name;
    return answer_object(cx, an, 200, &RESULT, &r);
}

static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/seed", WRITE, AREA_OPERATOR, NEED_WRITE, seed,
          "Gives an organisation what it starts with, making it if it is new.", .in = &SEED_ARGS,
          .in_use = CREATE, .out = &RESULT),
};

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    struct buf b = buf_new(cx->mem, 1024);
    bool first = true;
    buf_byte(&b, '{');
    json_put_key(&b, &first, S("organisation"));
    json_put_string(&b, line->option[1]);
    json_put_key(&b, &first, S("demo"));
    buf_add(&b, line->option[0].p ? S("true}") : S("false}"));
    *target = S("/operator/seed");
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The name of the organisation is too long.") : OK;
}

static void print(struct ctx *cx, struct str data) {
    struct seed_result r;
    if (schema_decode(cx, &RESULT, OUT, IGNORE_UNKNOWN, data, &r, NULL))
        return;
    printf("%.*s (%.*s) %s: %" PRId64 " items and %" PRId64 " moves added\n", STR_FMT(r.name),
           STR_FMT(r.organisation), r.created ? "is new" : "was there", r.items, r.moves);
}

static const struct option OPTIONS[] = {{"demo", NULL, false, "Add the demo company's goods."},
                                        {"org", "NAME", false, "The organisation; Default if not said."},
                                        {0}};
static const struct command COMMANDS[] = {
    {"seed", NULL, OPTIONS, "Gives an organisation what it starts with, making it if it is new.", POST,
     request, print, NULL, false},
};

const struct module SEED_MODULE = {.name = "seed", TABLE(routes, ROUTES), TABLE(commands, COMMANDS)};

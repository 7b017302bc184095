/* The feeds that this process has loaded, and what they say to people. */
#include "base/settings.h"
#include "feeds/feed_table.h"
#include "net/listing.h"

#include "base/banned.h"

static const struct setting SETTINGS[] = {
    {.name = "FEEDS_DIR",
     .type = SETTING_TEXT,
     .fallback = "",
     .doc = "A folder of feeds, one .yaml each; those that ship if not set."},
    {.name = "FEEDS_WORK_DIR",
     .type = SETTING_TEXT,
     .fallback = "",
     .doc = "Where the feeds' files are kept while they are worked on; feeds/ in the data folder if not "
            "set."},
};

static enum err start(struct ctx *cx, void **state) {
    struct feeds *feeds = NEW(cx->mem, struct feeds);
    if (!feeds)
        return fail(cx, ERR_MEMORY, "The feeds do not fit in memory.");
    *state = feeds;
    return feeds_load(cx, setting_text(cx->modules->settings, "FEEDS_DIR"), feeds);
}

const struct feeds *feeds_of(const struct ctx *cx) { return module_state(cx, &FEED_MODULE); }

/* They are few, and in memory: one page. */
static enum err list(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct feeds *feeds = feeds_of(cx);
    struct feed *copy = NEW_N(cx->mem, struct feed, feeds->n);
    enum err e = listing_check(cx, rq);
    if (e)
        return e;
    if (!copy)
        return fail(cx, ERR_MEMORY, "The list does not fit in memory.");
    memcpy(copy, feeds->v, feeds->n * sizeof(*copy));
    return answer_list(cx, an, &FEED, (struct list){copy, feeds->n}, 1, PAGE_SIZE_MAX, (struct str){0});
}

/* Nobody runs it: it says what the rows of the list are. */
static const struct stmt IN_MEMORY = {"feeds_in_memory", SYSTEM, "SELECT 1", NULL, &FEED};
static const struct listing_sort SORTS[] = {{"name", &IN_MEMORY, "name", NULL}};
static const struct listing LISTING = {&FEED, SORTS, 1, NULL, 0};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/feeds", READ, AREA_CATALOGUE, NEED_READ, list,
          "Lists the feeds as their files declare them, without their log-ins.", .flags = ROUTE_LIST,
          .out = &FEED, .listing = &LISTING),
};

const struct module FEED_MODULE = {
    .name = "feeds", TABLE(settings, SETTINGS), TABLE(routes, ROUTES), .start = start, .tables = feed_tables};

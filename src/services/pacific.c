#include "services/pacific.h"

#include "base/zone.h"

#include <pthread.h>
#include <stdio.h>

#include "base/banned.h"

#define ZONE S("America/Los_Angeles")

/* Read once and kept; NULL where the machine has no tz database. */
static const struct zone *loaded;
static void load(void) {
    static struct arena *mem;
    struct ctx cx = {.mem = mem = arena_new((size_t)1 << 20)};
    if (!mem || zone_load(&cx, mem, ZONE, &loaded))
        loaded = NULL;
}
static const struct zone *zone(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, load);
    return loaded;
}

static bool has_offset(struct str s) {
    if (s.n && (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z'))
        return true;
    return s.n > 6 + sizeof("yyyy-mm-dd") && s.p[s.n - 3] == ':' &&
           (s.p[s.n - 6] == '+' || s.p[s.n - 6] == '-');
}

static int64_t whole_seconds(int64_t us) { return (us - (us % US_PER_S + US_PER_S) % US_PER_S) / US_PER_S; }

bool pacific_parse(struct str s, struct instant *out) {
    char text[64];
    struct instant t;
    bool given = has_offset(s), date = s.n == sizeof("yyyy-mm-dd") - 1;
    int n = s.n > 40 ? -1
                     : snprintf(text, sizeof(text), "%.*s%s%s", STR_FMT(s), date ? "T00:00:00" : "",
                                given ? "" : "Z");
    if (n > 10 && text[10] == ' ')
        text[10] = 'T';
    if (n < 0 || !instant_parse((struct str){text, (size_t)n}, &t) || (!given && !zone()))
        return false;
    if (!given) {
        int64_t wall = whole_seconds(t.us);
        t.us += (zone_instant(zone(), wall) - wall) * US_PER_S;
    }
    *out = t;
    return true;
}

struct str pacific_format(struct arena *mem, struct instant t) {
    char text[32];
    if (!zone())
        return (struct str){0};
    int64_t offset = zone_span(zone(), whole_seconds(t.us)).offset;
    struct str local = instant_format((struct instant){t.us + offset * US_PER_S}, text);
    struct str date = str_sub(local, 0, 10), time = str_sub(local, 11, 8);
    return str_printf(mem, "%.*s %.*s", STR_FMT(date), STR_FMT(time));
}

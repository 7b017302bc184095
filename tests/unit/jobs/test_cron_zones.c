/* J3: schedules in every time zone of the tz database over two simulated years, against an oracle of other
 * making (cron_oracle.py: Python's zoneinfo and plain search). First the times alone; then the rows of the
 * database, one organisation a zone, with restarts, a clock that is set, and downtime. */
#include "jobs_test.h"

#include "identity/identity.h"
#include "jobs/schedule.h"

#include <inttypes.h>
#include <string.h>

#define FROM INT64_C(1767225600) /* 2026-01-01 */
#define TO (FROM + 2 * 365 * DAY)
#define HALF (FROM + 365 * DAY)
#define DAY INT64_C(86400)
#define LINE_MAX_BYTES (1 << 20)

/* The first two are schedules of the database, too: one names times of day, one goes by the passing of time.
 */
static const char *const CRONS[] = {"30 2 * * *", "7 */6 * * *", "15 0 * * *", "0,30 1-3 * * 0,6",
                                    "*/20 2 1,15 * 1"};
enum { CRONS_N = sizeof CRONS / sizeof CRONS[0], SCHEDULES = 2, ZONES_MAX = 700 };

struct times {
    int64_t *at;
    size_t n;
};
struct zoned {
    char name[ZONE_NAME_MAX + 1];
    struct times of[CRONS_N];
    struct uuid org;
    struct instant last[SCHEDULES], next[SCHEDULES]; /* the model */
    size_t came[SCHEDULES];
};
static struct zoned zones[ZONES_MAX];
static size_t n_zones;
static struct arena *oracle_mem;

static void read_line(char *line) {
    char *name = line, *end = strchr(name, ' ');
    assert_non_null(end);
    *end = 0;
    if (!n_zones || strcmp(zones[n_zones - 1].name, name) != 0) {
        assert_true(n_zones < ZONES_MAX && strlen(name) <= ZONE_NAME_MAX);
        memcpy(zones[n_zones++].name, name, strlen(name) + 1);
    }
    long which = strtol(end + 1, &end, 10);
    assert_in_range(which, 0, CRONS_N - 1);
    struct times *t = &zones[n_zones - 1].of[which];
    t->at = NEW_N(oracle_mem, int64_t, strlen(end) / 10 + 1);
    for (char *p = end; *p == ' ' && p[1] >= '0' && p[1] <= '9'; p = end)
        t->at[t->n++] = strtoll(p, &end, 10);
}

static int ask_oracle(void **state) {
    (void)state;
    char command[512];
    int n = snprintf(command, sizeof command,
                     "python3 -B tests/unit/jobs/cron_oracle.py %" PRId64 " %" PRId64, FROM, TO);
    for (size_t i = 0; i < CRONS_N; i++)
        n += snprintf(command + n, sizeof command - (size_t)n, " '%s'", CRONS[i]);
    oracle_mem = arena_new((size_t)512 << 20);
    char *line = arena_alloc(oracle_mem, LINE_MAX_BYTES);
    FILE *oracle = popen(command, "r");
    assert_non_null(oracle);
    while (fgets(line, LINE_MAX_BYTES, oracle))
        read_line(line);
    assert_int_equal(pclose(oracle), 0);
    assert_true(n_zones > 400);
    return 0;
}

static int forget_oracle(void **state) {
    (void)state;
    arena_free(oracle_mem);
    return 0;
}

static void j3_times_in_every_zone_are_the_oracles(void **state) {
    (void)state;
    const char *problem;
    for (size_t i = 0; i < n_zones; i++)
        for (size_t c = 0; c < CRONS_N; c++) {
            struct arena *mem = arena_new(1 << 20);
            struct ctx cx = {.mem = mem};
            const struct zone *zone;
            struct cron cron;
            assert_true(cron_parse(str_of(CRONS[c]), &cron, &problem));
            assert_int_equal(zone_load(&cx, mem, str_of(zones[i].name), &zone), OK);
            struct instant at = {FROM * US_PER_S};
            for (size_t k = 0; k < zones[i].of[c].n; k++) {
                at = cron_next(&cron, zone, at);
                if (at.us != zones[i].of[c].at[k] * US_PER_S)
                    fail_msg("%s %s: %" PRId64 ", not %" PRId64, zones[i].name, CRONS[c], at.us / US_PER_S,
                             zones[i].of[c].at[k]);
            }
            assert_true(cron_next(&cron, zone, at).us > TO * US_PER_S);
            arena_free(mem);
        }
}

static enum err nothing(struct ctx *cx, const struct job *job) {
    (void)cx, (void)job;
    return OK;
}
static const struct job_type TYPES[] = {
    {.name = "first", .mode = JOB_CLOSURE, .run = nothing, .schedule = "30 2 * * *", .doc = "A test."},
    {.name = "second", .mode = JOB_CLOSURE, .run = nothing, .schedule = "7 */6 * * *", .doc = "A test."},
};
static const struct module MODULE = {.name = "test", TABLE(jobs, TYPES)};

struct fired {
    struct uuid org_id;
    struct str name;
    struct instant due_at;
};
static const struct field FIRED_FIELDS[] = {
    FIELD(struct fired, org_id, ROW, ""),
    FIELD(struct fired, name, ROW, ""),
    FIELD(struct fired, due_at, ROW, ""),
};
static const struct schema FIRED = SCHEMA(struct fired, "Fired", FIRED_FIELDS);
static const struct stmt JOBS_NOW = {
    "jobs_now", SYSTEM, "SELECT org_id, name, due_at FROM job WHERE name <> 'noop'", NULL, &FIRED};
static const struct stmt JOBS_GONE = {"jobs_gone", SYSTEM, "DELETE FROM job", NULL, NULL};

/* What runs the schedules: a process, as far as it can be told from the database. */
static struct world world;
static struct firing process;
static struct arena *scratch;

static struct ctx moment(int64_t now) {
    arena_reset(scratch);
    struct ctx cx = world.cx;
    cx.mem = scratch;
    cx.clock = NULL; /* else the lane would take its time */
    cx.now = (struct instant){now * US_PER_S};
    cx.actor.org = (struct uuid){0};
    return cx;
}

/* Zones that differ in nothing here share an organisation: those whose times are all the same. */
static bool same_times(const struct zoned *a, const struct zoned *b) {
    for (size_t c = 0; c < CRONS_N; c++)
        if (a->of[c].n != b->of[c].n ||
            memcmp(a->of[c].at, b->of[c].at, a->of[c].n * sizeof *a->of[c].at) != 0)
            return false;
    return true;
}

static void keep_different(void) {
    size_t kept = 0;
    for (size_t i = 0; i < n_zones; i++) {
        size_t k = 0;
        while (k < kept && !same_times(&zones[k], &zones[i]))
            k++;
        if (k == kept)
            zones[kept++] = zones[i];
    }
    n_zones = kept;
    print_message("%zu time zones that differ\n", n_zones);
}

static enum err make_organisations(struct ctx *cx, void *arg) {
    (void)arg;
    enum err e = OK;
    for (size_t i = 0; !e && i < n_zones; i++) {
        struct organisation org;
        bool created;
        if ((e = organisation_ensure(cx, str_of(zones[i].name), &org, &created)))
            break;
        zones[i].org = cx->actor.org = org.id;
        for (size_t s = 0; !e && s < SCHEDULES; s++) {
            bool changed;
            const struct schedule none = {0}, row = {.name = str_of(TYPES[s].name),
                                                     .cron = S("new"),
                                                     .time_zone = S("new"),
                                                     .own_time_zone = str_of(zones[i].name)};
            e = schedule_set(cx, &none, &row, &changed);
            assert_true(e || changed);
        }
    }
    return e;
}

static struct zoned *zone_of(struct uuid org) {
    for (size_t i = 0; i < n_zones; i++)
        if (uuid_eq(zones[i].org, org))
            return &zones[i];
    fail_msg("a job of no organisation");
    return NULL;
}

/* The first of the oracle's instants after one. */
static struct instant after(const struct times *t, int64_t us) {
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->at[middle] * US_PER_S <= us)
            low = middle + 1;
        else
            high = middle;
    }
    return (struct instant){low < t->n ? t->at[low] * US_PER_S : INT64_MAX};
}

/* What a tick is to bring, by the rule of schedule.h over the oracle's instants; counts down what is still to
 * come. */
static size_t expected(int64_t now, struct instant due[ZONES_MAX][SCHEDULES]) {
    size_t n = 0;
    for (size_t i = 0; i < n_zones; i++)
        for (size_t s = 0; s < SCHEDULES; s++) {
            struct zoned *z = &zones[i];
            due[i][s].us = 0;
            if (z->next[s].us && z->next[s].us <= now * US_PER_S) {
                due[i][s] = z->last[s] = z->next[s];
                n++;
            }
            int64_t ahead = z->last[s].us - now * US_PER_S;
            if (ahead > SCHEDULE_BACK_US)
                z->last[s].us = 0;
            int64_t from = ahead > 0 && ahead <= SCHEDULE_BACK_US ? z->last[s].us : now * US_PER_S;
            z->next[s] = after(&z->of[s], from);
        }
    return n;
}

static enum err gone(struct ctx *cx, void *arg) {
    (void)arg;
    return db_exec(cx, &JOBS_GONE, ARGS(), NULL);
}

static void tick(int64_t now, bool check) {
    static struct instant due[ZONES_MAX][SCHEDULES];
    struct list jobs = {0};
    size_t n = expected(now, due);
    struct ctx cx = moment(now);
    if (check)
        assert_int_equal(schedule_check(&cx), OK);
    for (process.more = true; process.more;)
        assert_int_equal(db_write_wait(&cx, schedule_fire, &process), OK);
    assert_true(process.leads);
    assert_int_equal(db_read_begin(&cx), OK);
    assert_int_equal(db_list(&cx, &JOBS_NOW, ARGS(), &jobs), OK);
    db_read_end(&cx);
    if (jobs.n != n)
        fail_msg("%zu jobs at %" PRId64 ", not %zu", jobs.n, now, n);
    const struct fired *all = jobs.items;
    for (size_t i = 0; i < jobs.n; i++) {
        struct zoned *z = zone_of(all[i].org_id);
        size_t s = str_eq(all[i].name, S("second"));
        if (all[i].due_at.us != due[z - zones][s].us)
            fail_msg("%s: %" PRId64 ", not %" PRId64 ", at %" PRId64, z->name, all[i].due_at.us / US_PER_S,
                     due[z - zones][s].us / US_PER_S, now);
        due[z - zones][s].us = 0;
        z->came[s]++;
    }
    if (n)
        assert_int_equal(db_write_wait(&cx, gone, NULL), OK);
}

static uint64_t chance;
static int64_t below(int64_t n) {
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (int64_t)(chance % (uint64_t)n);
}

static void restart(int64_t now) { process.holder = uuid_new((struct instant){now * US_PER_S}); }

/* In the first year time goes on, but for a clock that is set back by less than three hours now and then, and
 * processes that die: every instant comes exactly once. In the second the clock also jumps, both ways, and
 * days are missed. */
static void j3_rows_in_every_zone_come_once(void **state) {
    (void)state;
    const char *seed = getenv("SEED");
    chance = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_steady() | 1;
    print_message("SEED=%" PRIu64 "\n", chance);
    world_open(&world, &MODULE);
    keep_different();
    scratch = arena_new((size_t)64 << 20);
    restart(FROM);
    struct ctx cx = moment(FROM);
    assert_int_equal(db_write_wait(&cx, make_organisations, NULL), OK);
    tick(FROM, true);
    int64_t now = FROM, latest = FROM;
    while (latest < HALF) {
        now += 60 + below(3000);
        bool again = !below(100);
        if (again)
            restart(now);
        tick(now, again);
        latest = now > latest ? now : latest;
        if (!below(20) && latest - FROM > 3 * 3600)
            tick(now = latest - below(3 * 3600), true);
    }
    for (size_t i = 0; i < n_zones; i++)
        for (size_t s = 0; s < SCHEDULES; s++) {
            size_t all = 0;
            while (all < zones[i].of[s].n && zones[i].of[s].at[all] <= latest)
                all++;
            if (zones[i].came[s] != all)
                fail_msg("%s came %zu times, not %zu", zones[i].name, zones[i].came[s], all);
        }
    while (now < TO - 40 * DAY) {
        now += 60 + below(DAY / 2);
        int64_t jump = below(10) ? 0 : below(20 * DAY) - 8 * DAY;
        tick(now, jump != 0);
        if (jump) {
            now = now + jump < HALF ? HALF : now + jump;
            restart(now);
            tick(now, true);
        }
    }
    arena_free(scratch);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(j3_times_in_every_zone_are_the_oracles),
        cmocka_unit_test(j3_rows_in_every_zone_come_once),
    };
    return cmocka_run_group_tests(tests, ask_oracle, forget_oracle);
}

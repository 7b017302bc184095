#include "identity_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static const struct setting DATA[] = {
    {.name = "ENTREPOT_DATA", .type = SETTING_TEXT, .fallback = "", .doc = "The folder."},
};

static void load_settings(struct world *w) {
    /* Settings point into the environment. */
    char *data = str_z(w->cx.mem, str_printf(w->cx.mem, "ENTREPOT_DATA=%s", w->folder));
    char *local = str_z(w->cx.mem, S("ENVIRONMENT=local"));
    char *const environ[] = {data, local, NULL};
    const struct setting *const tables[] = {DATA, IDENTITY_MODULE.settings};
    const size_t counts[] = {1, IDENTITY_MODULE.n_settings};
    struct settings *settings;
    assert_int_equal(settings_load(&w->cx, tables, counts, 2, environ, str_of(w->folder), &settings), OK);
    w->modules.settings = settings;
}

void world_open(struct world *w) {
    *w = (struct world){.folder = "/tmp/entrepot-identity-XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    w->cx = test_ctx();
    w->clock = clock_new(NULL);
    /* No clock in the context: its now stands still, and moves when a test says so. */
    w->list[0] = &IDENTITY_MODULE;
    w->modules = (struct modules){.list = w->list, .state = w->state, .n = 1};
    w->cx.modules = &w->modules;
    load_settings(w);
    const char *postgres = getenv("TEST_POSTGRES");
    struct str url = postgres ? str_of(postgres) : str_printf(w->cx.mem, "sqlite:///%s/test.db", w->folder);
    if (db_open(&w->cx, url, str_of(w->folder), &w->db))
        fail_msg("open: %.*s %.*s", STR_FMT(w->cx.fault.message), STR_FMT(w->cx.fault.cause));
    w->cx.database = w->db;
    if ((postgres && migrate_down(&w->cx, 0)) || migrate_up(&w->cx, -1))
        fail_msg("migrate: %.*s %.*s", STR_FMT(w->cx.fault.message), STR_FMT(w->cx.fault.cause));
    assert_int_equal(IDENTITY_MODULE.start(&w->cx, &w->state[0]), OK);
}

void world_close(struct world *w) {
    IDENTITY_MODULE.stop(w->state[0]);
    db_close(w->db);
    clock_free(w->clock);
    arena_free(w->cx.mem);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", w->folder);
    if (system(command))
        fail_msg("%s is left", w->folder);
}

void world_act(struct world *w, struct uuid org, struct uuid user, const char *name, enum role role) {
    w->cx.actor = (struct actor){.org = org, .user = user, .name = str_of(name), .role = role};
}

struct ensuring {
    struct str name;
    struct organisation org;
    bool created;
};

static enum err run_ensure(struct ctx *cx, void *arg) {
    struct ensuring *e = arg;
    return organisation_ensure(cx, e->name, &e->org, &e->created);
}

struct str world_organisation(struct world *w, const char *name, struct uuid *out) {
    struct ensuring e = {.name = str_of(name)};
    if (db_write_wait(&w->cx, run_ensure, &e))
        fail_msg("organisation: %.*s %.*s", STR_FMT(w->cx.fault.message), STR_FMT(w->cx.fault.cause));
    *out = e.org.id;
    w->cx.now.us++; /* the next one is younger */
    return e.org.slug;
}

enum err world_send(struct world *w, struct sent s, struct answer *an) {
    struct ctx *cx = &w->cx;
    static const struct route ROUTE_OF_NONE = {.method = POST};
    struct request rq = {.route = &ROUTE_OF_NONE, .peer = str_of(s.peer ? s.peer : "192.0.2.1")};
    struct header authorization = {S("Authorization"),
                                   str_printf(cx->mem, "Bearer %s", s.bearer ? s.bearer : "")};
    fault_clear(cx);
    *an = (struct answer){.body = buf_new(cx->mem, 1 << 20)};
    if (s.bearer) {
        rq.headers = &authorization;
        rq.n_headers = 1;
    }
    rq.param[0] = str_of(s.param);
    if (s.in) {
        rq.in = arena_alloc(cx->mem, s.in->size);
        enum err e = schema_decode(cx, s.in, s.use, REFUSE_UNKNOWN, str_of(s.body), rq.in, &rq.present);
        if (e)
            return e;
    }
    if (s.read)
        assert_int_equal(db_read_begin(cx), OK);
    enum err e = s.handler(cx, &rq, an);
    if (s.read)
        db_read_end(cx);
    return e;
}

struct str answered(const struct answer *an, const char *name) {
    char key[64];
    int n = snprintf(key, sizeof(key), "\"%s\":\"", name);
    struct str body = buf_str(&an->body);
    const char *p = memmem(body.p, body.n, key, (size_t)n);
    if (!p)
        fail_msg("%s is not in %.*s", name, STR_FMT(body));
    p += n;
    const char *end = memchr(p, '"', body.n - (size_t)(p - body.p));
    return (struct str){p, (size_t)(end - p)};
}

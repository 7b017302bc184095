#include "app/modules.h"
#include "base/module.h"
#include "db/migrate.h"
#include "db/tenancy.h"

#include "db_test.h"

static void what_looks_at_no_organisation_is_found(void **state) {
    struct rig *r = *state;
    static const struct {
        const char *text;
        bool good;
    } CASES[] = {
        {"SELECT id FROM thing WHERE org_id = $org", true},
        {"SELECT id FROM thing WHERE id = $org", false},
        {"SELECT t.id FROM thing t, parent p WHERE t.org_id = $org AND p.id = t.id", false},
        {"SELECT t.id FROM thing t, parent p WHERE t.org_id = $org AND p.id = t.id AND p.org_id = t.org_id",
         true},
        {"UPDATE thing SET i = 1 WHERE org_id = $org", true},
        {"UPDATE thing SET i = 1 WHERE u = $org", false},
        {"DELETE FROM thing WHERE u = $org", false},
        {"INSERT INTO thing (org_id, id) VALUES ($org, 1)", true},
        {"INSERT INTO thing (u, id) VALUES ($org, 1)", false},
        {"INSERT INTO thing (org_id, id) SELECT $org, id FROM parent", false},
        {"SELECT version FROM schema_migration WHERE name = $org", true}, /* not a tenant's table */
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const struct stmt st = {"case", TENANT, CASES[i].text, NULL, NULL};
        if ((tenancy_check(&r->cx, &st, 1) == OK) != CASES[i].good)
            fail_msg("%s: %.*s", CASES[i].text, STR_FMT(r->cx.fault.message));
    }
}

static void every_statement_keeps_to_its_organisation(void **state) {
    struct rig *r = *state;
    struct list files;
    rig_must(&r->cx, migration_files(&r->cx, TEST_FILES, TEST_FILES_N, &files));
    rig_must(&r->cx, migration_down(&r->cx, files, 0));
    rig_must(&r->cx, migrate_up(&r->cx, -1));
    for (size_t i = 0; i < MODULES_N; i++)
        rig_must(&r->cx, tenancy_check(&r->cx, MODULES[i]->stmts, MODULES[i]->n_stmts));
}

int main(void) {
    const struct CMUnitTest tests[] = {ON("sqlite", what_looks_at_no_organisation_is_found),
                                       ON("sqlite", every_statement_keeps_to_its_organisation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The table of the requirements, "Who may do what", letter by letter. */
static const struct {
    enum area area;
    const char *owner, *manager, *clerk, *viewer;
} TABLE[] = {
    {AREA_ORGANISATION, "write", "read", "-", "-"},  {AREA_CATALOGUE, "write", "write", "read", "read"},
    {AREA_FLOOR, "write", "write", "write", "read"}, {AREA_INSIGHT, "write", "write", "write", "read"},
    {AREA_JOBS, "write", "write", "read", "-"},      {AREA_AUDIT, "read", "read", "-", "-"},
};

static void check(enum area area, enum role role, const char *what) {
    bool write = *what == 'w', read = write || *what == 'r';
    assert_int_equal(access_allowed(area, NEED_READ, role), read);
    assert_int_equal(access_allowed(area, NEED_WRITE, role), write);
}

static void matches_the_requirements(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
        check(TABLE[i].area, ROLE_OWNER, TABLE[i].owner);
        check(TABLE[i].area, ROLE_MANAGER, TABLE[i].manager);
        check(TABLE[i].area, ROLE_CLERK, TABLE[i].clerk);
        check(TABLE[i].area, ROLE_VIEWER, TABLE[i].viewer);
        check(TABLE[i].area, ROLE_NONE, "-");
        check(TABLE[i].area, ROLE_OPERATOR, TABLE[i].owner);
    }
}

static void special_areas(void **state) {
    (void)state;
    for (enum role role = ROLE_NONE; role <= ROLE_OPERATOR; role++) {
        check(AREA_NONE, role, "-");
        check(AREA_PUBLIC, role, "write");
        check(AREA_SELF, role, role == ROLE_NONE ? "-" : "write");
        check(AREA_OPERATOR, role, role == ROLE_OPERATOR ? "write" : "-");
    }
    assert_false(access_allowed(AREAS, NEED_READ, ROLE_OWNER));
    assert_false(access_allowed(AREA_FLOOR, NEED_READ, (enum role)(ROLE_OPERATOR + 1)));
}

static void role_names(void **state) {
    (void)state;
    enum role role = ROLE_NONE;
    size_t n = 0;
    for (; ROLE_NAMES[n]; n++) {
        assert_true(role_parse(str_of(ROLE_NAMES[n]), &role));
        assert_true(str_eq(role_name(role), str_of(ROLE_NAMES[n])));
    }
    assert_int_equal(n, 4);
    assert_false(role_parse(S("operator"), &role));
    assert_false(role_parse(S("Owner"), &role));
    assert_false(role_parse(S(""), &role));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_requirements),
        cmocka_unit_test(special_areas),
        cmocka_unit_test(role_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net/access.h"

#include "base/banned.h"

#define R 1 /* may read */
#define W 2 /* may read and write */

/* Requirements, "Who may do what"; the column of an operator is that of an owner. */
/* clang-format off */
static const unsigned char TABLE[AREAS][ROLE_OPERATOR + 1] = {
    /*                     none viewer clerk manager owner operator */
    [AREA_NONE]         = {0,   0,     0,    0,      0,    0},
    [AREA_PUBLIC]       = {W,   W,     W,    W,      W,    W},
    [AREA_SELF]         = {0,   W,     W,    W,      W,    W},
    [AREA_ORGANISATION] = {0,   0,     0,    R,      W,    W},
    [AREA_CATALOGUE]    = {0,   R,     R,    W,      W,    W},
    [AREA_FLOOR]        = {0,   R,     W,    W,      W,    W},
    [AREA_INSIGHT]      = {0,   R,     W,    W,      W,    W},
    [AREA_JOBS]         = {0,   0,     R,    W,      W,    W},
    [AREA_AUDIT]        = {0,   0,     0,    R,      R,    R},
    [AREA_OPERATOR]     = {0,   0,     0,    0,      0,    W},
};
/* clang-format on */

const char *const ROLE_NAMES[] = {"owner", "manager", "clerk", "viewer", NULL};

bool access_allowed(enum area area, enum need need, enum role role) {
    if (area >= AREAS || role > ROLE_OPERATOR)
        return false;
    return TABLE[area][role] >= (need == NEED_WRITE ? W : R);
}

bool role_parse(struct str s, enum role *out) {
    for (enum role role = ROLE_VIEWER; role <= ROLE_OWNER; role++)
        if (str_eq(s, role_name(role))) {
            *out = role;
            return true;
        }
    return false;
}

struct str role_name(enum role role) {
    switch (role) {
    case ROLE_VIEWER:
        return S("viewer");
    case ROLE_CLERK:
        return S("clerk");
    case ROLE_MANAGER:
        return S("manager");
    case ROLE_OWNER:
        return S("owner");
    case ROLE_OPERATOR:
        return S("operator");
    case ROLE_NONE:
        break;
    }
    return S("none");
}

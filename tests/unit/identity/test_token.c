#include "identity_test.h"

#include <string.h>

#include "identity/token.h"
#include "signed_token.h"

#define HEAD "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define SUB "\"sub\":\"01890000-0000-7000-8000-000000000001\""
#define ORG "\"org_id\":\"01890000-0000-7000-8000-000000000002\""
#define JTI "\"jti\":\"01890000-0000-7000-8000-000000000003\""
#define ROLES "\"roles\":[\"owner\"]"
#define ISS "\"iss\":\"entrepot\""
#define AUD "\"aud\":\"entrepot\""
#define IAT "\"iat\":1800000000"
#define EXP "\"exp\":1800086400"
#define WHO SUB "," ORG "," JTI "," ROLES
#define BODY "{" WHO "," ISS "," AUD "," IAT "," EXP "}"
#define WITH(more) "{" WHO "," ISS "," AUD "," IAT "," EXP "," more "}"
#define TIMES(iat, exp) "{" WHO "," ISS "," AUD ",\"iat\":" iat ",\"exp\":" exp "}"

struct token_case {
    const char *name, *header, *payload;
    bool good;
    const char *key; /* NULL: the right one */
};

static const struct token_case CASES[] = {
    {"as we write it", HEAD, BODY, true, NULL},
    {"without typ", "{\"alg\":\"HS256\"}", BODY, true, NULL},
    {"white space in the JSON", "{ \"typ\" : \"JWT\" , \"alg\" : \"HS256\" }", BODY, true, NULL},
    {"a claim that we do not know", HEAD, WITH("\"email\":\"a@b.example\""), true, NULL},
    {"not before, past", HEAD, WITH("\"nbf\":1800000000"), true, NULL},
    {"not before, 60 s ahead", HEAD, WITH("\"nbf\":1800000060"), true, NULL},
    {"issued 60 s ahead", HEAD, TIMES("1800000060", "1800086460"), true, NULL},
    {"expires in the next second", HEAD, TIMES("1799913601", "1800000001"), true, NULL},
    {"many roles", HEAD, "{" SUB "," ORG "," JTI ",\"roles\":[]," ISS "," AUD "," IAT "," EXP "}", true,
     NULL},

    {"another key", HEAD, BODY, false, "another secret that is long enough too!"},
    {"an empty key", HEAD, BODY, false, ""},
    {"alg none", "{\"alg\":\"none\"}", BODY, false, NULL},
    {"alg None", "{\"alg\":\"None\"}", BODY, false, NULL},
    {"alg NONE", "{\"alg\":\"NONE\",\"typ\":\"JWT\"}", BODY, false, NULL},
    {"alg empty", "{\"alg\":\"\"}", BODY, false, NULL},
    {"alg null", "{\"alg\":null}", BODY, false, NULL},
    {"alg a number", "{\"alg\":256}", BODY, false, NULL},
    {"alg a list", "{\"alg\":[\"HS256\"]}", BODY, false, NULL},
    {"alg hs256", "{\"alg\":\"hs256\"}", BODY, false, NULL},
    {"alg HS256 with a space", "{\"alg\":\"HS256 \"}", BODY, false, NULL},
    {"alg HS256 with a NUL", "{\"alg\":\"HS256\\u0000\"}", BODY, false, NULL},
    {"alg HS384", "{\"alg\":\"HS384\"}", BODY, false, NULL},
    {"alg HS512", "{\"alg\":\"HS512\"}", BODY, false, NULL},
    {"alg RS256", "{\"alg\":\"RS256\"}", BODY, false, NULL},
    {"alg ES256", "{\"alg\":\"ES256\"}", BODY, false, NULL},
    {"alg PS256", "{\"alg\":\"PS256\"}", BODY, false, NULL},
    {"alg EdDSA", "{\"alg\":\"EdDSA\"}", BODY, false, NULL},
    {"alg missing", "{\"typ\":\"JWT\"}", BODY, false, NULL},
    {"alg twice", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", BODY, false, NULL},
    {"alg twice, none last", "{\"alg\":\"HS256\",\"alg\":\"none\"}", BODY, false, NULL},
    {"alg twice, spelled with an escape", "{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", BODY, false, NULL},
    {"kid", "{\"alg\":\"HS256\",\"kid\":\"1\"}", BODY, false, NULL},
    {"kid, a path", "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", BODY, false, NULL},
    {"kid, SQL", "{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}", BODY, false, NULL},
    {"jku", "{\"alg\":\"HS256\",\"jku\":\"https://evil.example/jwks\"}", BODY, false, NULL},
    {"x5u", "{\"alg\":\"HS256\",\"x5u\":\"https://evil.example/x\"}", BODY, false, NULL},
    {"jwk in the header", "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", BODY, false, NULL},
    {"crit", "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", BODY, false, NULL},
    {"crit, empty", "{\"alg\":\"HS256\",\"crit\":[]}", BODY, false, NULL},
    {"b64 false", "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", BODY, false, NULL},
    {"cty JWT", "{\"alg\":\"HS256\",\"cty\":\"JWT\"}", BODY, false, NULL},
    {"zip", "{\"alg\":\"HS256\",\"zip\":\"DEF\"}", BODY, false, NULL},
    {"enc", "{\"alg\":\"HS256\",\"enc\":\"A256GCM\"}", BODY, false, NULL},
    {"typ at+jwt", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", BODY, false, NULL},
    {"typ a number", "{\"alg\":\"HS256\",\"typ\":1}", BODY, false, NULL},
    {"header a list", "[\"HS256\"]", BODY, false, NULL},
    {"header a string", "\"HS256\"", BODY, false, NULL},
    {"header empty", "", BODY, false, NULL},
    {"header not JSON", "alg=HS256", BODY, false, NULL},
    {"header with more after it", HEAD "{}", BODY, false, NULL},
    {"header with a comma too much", "{\"alg\":\"HS256\",}", BODY, false, NULL},
    {"header with a byte order mark", "\xef\xbb\xbf{\"alg\":\"HS256\"}", BODY, false, NULL},

    {"payload empty", HEAD, "", false, NULL},
    {"payload {}", HEAD, "{}", false, NULL},
    {"payload a list", HEAD, "[" BODY "]", false, NULL},
    {"payload not JSON", HEAD, "sub=1", false, NULL},
    {"payload cut", HEAD, "{" WHO "," ISS, false, NULL},
    {"payload with more after it", HEAD, BODY BODY, false, NULL},
    {"payload not UTF-8", HEAD, WITH("\"x\":\"\xff\""), false, NULL},
    {"sub missing", HEAD, "{" ORG "," JTI "," ROLES "," ISS "," AUD "," IAT "," EXP "}", false, NULL},
    {"sub twice", HEAD, WITH(SUB), false, NULL},
    {"sub twice, escaped", HEAD, WITH("\"\\u0073ub\":\"01890000-0000-7000-8000-000000000009\""), false, NULL},
    {"an unknown claim twice", HEAD, WITH("\"x\":1,\"x\":2"), false, NULL},
    {"a member inside a claim twice", HEAD, WITH("\"x\":{\"y\":1,\"y\":2}"), false, NULL},
    {"sub null", HEAD, "{\"sub\":null," ORG "," JTI "," ROLES "," ISS "," AUD "," IAT "," EXP "}", false,
     NULL},
    {"sub no uuid", HEAD, "{\"sub\":\"admin\"," ORG "," JTI "," ROLES "," ISS "," AUD "," IAT "," EXP "}",
     false, NULL},
    {"org_id missing", HEAD, "{" SUB "," JTI "," ROLES "," ISS "," AUD "," IAT "," EXP "}", false, NULL},
    {"jti missing", HEAD, "{" SUB "," ORG "," ROLES "," ISS "," AUD "," IAT "," EXP "}", false, NULL},
    {"roles missing", HEAD, "{" SUB "," ORG "," JTI "," ISS "," AUD "," IAT "," EXP "}", false, NULL},
    {"roles a string", HEAD, "{" SUB "," ORG "," JTI ",\"roles\":\"owner\"," ISS "," AUD "," IAT "," EXP "}",
     false, NULL},
    {"iss missing", HEAD, "{" WHO "," AUD "," IAT "," EXP "}", false, NULL},
    {"iss of another", HEAD, "{" WHO ",\"iss\":\"evil\"," AUD "," IAT "," EXP "}", false, NULL},
    {"iss in capitals", HEAD, "{" WHO ",\"iss\":\"Entrepot\"," AUD "," IAT "," EXP "}", false, NULL},
    {"aud missing", HEAD, "{" WHO "," ISS "," IAT "," EXP "}", false, NULL},
    {"aud of another", HEAD, "{" WHO "," ISS ",\"aud\":\"console\"," IAT "," EXP "}", false, NULL},
    {"aud a list", HEAD, "{" WHO "," ISS ",\"aud\":[\"entrepot\"]," IAT "," EXP "}", false, NULL},
    {"exp missing", HEAD, "{" WHO "," ISS "," AUD "," IAT "}", false, NULL},
    {"exp null", HEAD, TIMES("1800000000", "null"), false, NULL},
    {"exp a string", HEAD, TIMES("1800000000", "\"1800086400\""), false, NULL},
    {"exp with a fraction", HEAD, TIMES("1800000000", "1800086399.5"), false, NULL},
    {"exp with an exponent", HEAD, TIMES("1800000000", "18e8"), false, NULL},
    {"exp beyond int64", HEAD, TIMES("1800000000", "99999999999999999999"), false, NULL},
    {"exp negative", HEAD, TIMES("1800000000", "-1"), false, NULL},
    {"exp now", HEAD, TIMES("1799913600", "1800000000"), false, NULL},
    {"exp a day ago", HEAD, TIMES("1799827200", "1799913600"), false, NULL},
    {"exp in a year", HEAD, TIMES("1800000000", "1831536000"), false, NULL},
    {"exp at the end of time", HEAD, TIMES("1800000000", "9223372036854775807"), false, NULL},
    {"exp before iat", HEAD, TIMES("1800000050", "1800000040"), false, NULL},
    {"exp twice", HEAD, WITH("\"exp\":1831536000"), false, NULL},
    {"iat missing", HEAD, "{" WHO "," ISS "," AUD "," EXP "}", false, NULL},
    {"iat 61 s ahead", HEAD, TIMES("1800000061", "1800086400"), false, NULL},
    {"iat negative", HEAD, TIMES("-1", "1800000001"), false, NULL},
    {"nbf 61 s ahead", HEAD, WITH("\"nbf\":1800000061"), false, NULL},
    {"nbf a string", HEAD, WITH("\"nbf\":\"0\""), false, NULL},
};

/* Not of the form at all; %s stands for a good token. */
static const char *const RAW[] = {
    "",
    ".",
    "..",
    "...",
    "a.b.c",
    "null",
    "%s.",
    ".%s",
    "%s.%s",
    "%s=",
    "%s%%",
    " %s",
    "%s ",
    "%s\n",
    "%s\t",
    "%sA",
    "%sAA",
    "%sAAAA",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJub25lIn0.e30",
    "eyJhbGciOiJIUzI1NiJ9.e30.",
    "eyJhbGciOiJIUzI1NiJ9..",
    "Bearer %s",
    "eyJhbGciOiJSU0EtT0FFUCJ9.AA.AA.AA.AA",
    "\xc3\xa9.\xc3\xa9.\xc3\xa9",
};

struct fixture {
    struct ctx cx;
    struct token_key *key;
};

static struct fixture start(void) {
    struct fixture f = {.cx = test_ctx()};
    struct bytes secret = {(const unsigned char *)TEST_SECRET, sizeof(TEST_SECRET) - 1};
    assert_int_equal(token_key_new(&f.cx, secret, &f.key), OK);
    return f;
}

static void stop(struct fixture *f) {
    token_key_free(f->key);
    arena_free(f->cx.mem);
}

static bool holds(struct fixture *f, struct str token) {
    struct claims c = {.iat = -7};
    fault_clear(&f->cx);
    enum err e = token_verify(&f->cx, f->key, token, &c);
    if (e) {
        assert_int_equal(e, ERR_UNAUTHENTICATED);
        assert_int_equal(f->cx.fault.code, ERR_UNAUTHENTICATED);
        assert_int_equal(c.iat, -7);
    }
    return e == OK;
}

static void tokens_of_the_table(void **state) {
    (void)state;
    struct fixture f = start();
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct token_case *c = &CASES[i];
        struct str key = str_of(c->key ? c->key : TEST_SECRET);
        struct str token = signed_token(f.cx.mem, str_of(c->header), str_of(c->payload), key);
        if (holds(&f, token) != c->good)
            fail_msg("%s: should be %s", c->name, c->good ? "good" : "refused");
    }
    stop(&f);
}

static void what_is_no_token(void **state) {
    (void)state;
    struct fixture f = start();
    struct str good = signed_token(f.cx.mem, S(HEAD), S(BODY), S(TEST_SECRET));
    assert_true(holds(&f, good));
    for (size_t i = 0; i < sizeof(RAW) / sizeof(RAW[0]); i++) {
        struct buf b = buf_new(f.cx.mem, TOKEN_MAX);
        for (const char *p = RAW[i]; *p; p++)
            if (p[0] == '%' && p[1] == 's') {
                buf_add(&b, good);
                p++;
            } else {
                buf_byte(&b, *p);
            }
        if (holds(&f, buf_str(&b)))
            fail_msg("%s: should be refused", RAW[i]);
    }
    assert_false(holds(&f, (struct str){0}));
    stop(&f);
}

/* Every single character counts, and so does every bit of the last one. */
static void changed_tokens(void **state) {
    (void)state;
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/";
    struct fixture f = start();
    struct str good = signed_token(f.cx.mem, S(HEAD), S(BODY), S(TEST_SECRET));
    char *copy = str_z(f.cx.mem, good);
    for (size_t i = 0; i < good.n; i++) {
        for (size_t j = 0; j < sizeof(LETTERS) - 1; j += i + 1 == good.n ? 1 : 7) {
            copy[i] = LETTERS[j];
            if (LETTERS[j] != good.p[i] && holds(&f, (struct str){copy, good.n}))
                fail_msg("character %zu as %c: should be refused", i, LETTERS[j]);
        }
        copy[i] = good.p[i];
        if (holds(&f, (struct str){good.p, i}))
            fail_msg("the first %zu characters: should be refused", i);
    }
    stop(&f);
}

static void too_long_a_token(void **state) {
    (void)state;
    struct fixture f = start();
    for (size_t pad = 5000; pad <= 7000; pad += 1000) {
        char *x = arena_alloc(f.cx.mem, pad + 1);
        memset(x, 'x', pad);
        struct str payload = str_printf(f.cx.mem, WITH("\"x\":\"%s\""), x);
        struct str token = signed_token(f.cx.mem, S(HEAD), payload, S(TEST_SECRET));
        assert_int_equal(holds(&f, token), token.n <= TOKEN_MAX);
    }
    stop(&f);
}

static void issued_tokens_hold_for_a_day(void **state) {
    (void)state;
    struct fixture f = start();
    struct uuid user = uuid_new(f.cx.now), org = uuid_new(f.cx.now);
    struct str token, other;
    struct instant until;
    struct claims c;
    f.cx.now.us += 999999;
    assert_int_equal(token_issue(&f.cx, f.key, user, org, S("clerk"), &token, &until), OK);
    assert_int_equal(token_issue(&f.cx, f.key, user, org, S("clerk"), &other, &until), OK);
    assert_false(str_eq(token, other));
    assert_int_equal(until.us, (TEST_NOW_S + 86400) * US_PER_S);
    assert_int_equal(token_verify(&f.cx, f.key, token, &c), OK);
    assert_true(uuid_eq(c.sub, user) && uuid_eq(c.org_id, org));
    assert_true(str_eq(c.roles.text, S("[\"clerk\"]")));
    f.cx.now.us = until.us - 1;
    assert_true(holds(&f, token));
    f.cx.now.us = until.us;
    assert_false(holds(&f, token));
    stop(&f);
}

/* RFC 5869: extract with a salt of zeros, expand once. Computed apart with the cryptography package of
 * Python. */
static void the_derived_key(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    unsigned char key[32];
    token_key_derive(S("0123456789abcdef0123456789abcdef"), key);
    struct str hex = hex_encode(cx.mem, (struct bytes){key, sizeof(key)});
    assert_true(str_eq(hex, S("923f466eb69008c1cf7013d6f3d470903a4398081628b9992f0e843ff276c777")));
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_the_table), cmocka_unit_test(what_is_no_token),
        cmocka_unit_test(changed_tokens),      cmocka_unit_test(too_long_a_token),
        cmocka_unit_test(the_derived_key),     cmocka_unit_test(issued_tokens_hold_for_a_day),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

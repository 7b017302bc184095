#include "identity/statements.h"

#include "identity/identity.h"
#include "identity/user.h"

#include "base/banned.h"

#define ORGANISATION_COLUMNS "id, slug, name, created_at"
#define USER_COLUMNS "id, email, name, role, disabled, created_at, updated_at"
#define ANOTHER_OWNER                                                                                     \
    "EXISTS (SELECT 1 FROM app_user o WHERE o.org_id = $org AND o.id <> $1 AND o.role = 'owner' AND NOT " \
    "o.disabled)"

#define INSERT_AUDIT                                                                                    \
    "INSERT INTO audit_trail (org_id, id, recorded_at, actor, action, target, before_json, after_json," \
    " request_id)"
const struct stmt IDENTITY_STMTS[] = {
    [ORGANISATION_INSERT] = {"organisation_insert", SYSTEM,
                             "INSERT INTO organisation (" ORGANISATION_COLUMNS ") VALUES ($1, $2, $3, $4)"
                             " ON CONFLICT DO NOTHING",
                             NULL, NULL},
    [ORGANISATION_BY_NAME] = {"organisation_by_name", SYSTEM,
                              "SELECT " ORGANISATION_COLUMNS " FROM organisation WHERE name = $1", NULL,
                              &ORGANISATION},
    [ORGANISATION_BY_KEY] = {"organisation_by_key", SYSTEM,
                             "SELECT " ORGANISATION_COLUMNS " FROM organisation WHERE slug = $1 OR name = $1"
                             " ORDER BY CASE WHEN slug = $1 THEN 0 ELSE 1 END LIMIT 1",
                             NULL, &ORGANISATION},
    [ORGANISATION_GET] = {"organisation_get", SYSTEM,
                          "SELECT " ORGANISATION_COLUMNS " FROM organisation WHERE id = $1", NULL,
                          &ORGANISATION},
    [ORGANISATION_ALL] = {"organisation_all", SYSTEM,
                          "SELECT " ORGANISATION_COLUMNS " FROM organisation ORDER BY created_at, id", NULL,
                          &ORGANISATION},
    [ORGANISATION_FIRST] = {"organisation_first", SYSTEM,
                            "SELECT " ORGANISATION_COLUMNS
                            " FROM organisation ORDER BY created_at, id LIMIT 1",
                            NULL, &ORGANISATION},
    [ORGANISATION_PAGE] = {"organisation_page", SYSTEM,
                           "SELECT " ORGANISATION_COLUMNS " FROM organisation"
                           " WHERE ($4 IS NULL OR (created_at, id) > ($3, $4))"
                           " ORDER BY created_at, id LIMIT $1 OFFSET $2",
                           "SELECT " ORGANISATION_COLUMNS " FROM organisation"
                           " WHERE ($4::uuid IS NULL OR (created_at, id) > ($3::timestamptz, $4::uuid))"
                           " ORDER BY created_at, id LIMIT $1 OFFSET $2",
                           &ORGANISATION},
    [ORGANISATION_LOCK] = {"organisation_lock", TENANT,
                           "SELECT " ORGANISATION_COLUMNS " FROM organisation WHERE id = $org",
                           "SELECT " ORGANISATION_COLUMNS
                           " FROM organisation WHERE id = $org FOR NO KEY UPDATE",
                           &ORGANISATION},
    [USER_INSERT] = {"user_insert", TENANT,
                     "INSERT INTO app_user (org_id, " USER_COLUMNS ", password_hash, tokens_from)"
                     " VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (email) DO NOTHING",
                     NULL, NULL},
    [USER_GET] = {"user_get", TENANT, "SELECT " USER_COLUMNS " FROM app_user WHERE org_id = $org AND id = $1",
                  NULL, &USER},
    [USER_PAGE_EMAIL] = {"user_page_email", TENANT,
                         "SELECT " USER_COLUMNS " FROM app_user WHERE org_id = $org"
                         " AND (CAST($3 AS text) IS NULL OR email > $3) AND CAST($4 AS text) IS NULL"
                         " ORDER BY email LIMIT $1 OFFSET $2",
                         NULL, &USER},
    [USER_PAGE_NEWEST] = {"user_page_newest", TENANT,
                          "SELECT " USER_COLUMNS " FROM app_user WHERE org_id = $org"
                          " AND ($4 IS NULL OR (created_at, id) < ($3, $4))"
                          " ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2",
                          "SELECT " USER_COLUMNS " FROM app_user WHERE org_id = $org"
                          " AND ($4::uuid IS NULL OR (created_at, id) < ($3::timestamptz, $4::uuid))"
                          " ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2",
                          &USER},
    [USER_UPDATE] = {"user_update", TENANT,
                     "UPDATE app_user SET name = $2, role = $3, disabled = $4, updated_at = $5"
                     " WHERE org_id = $org AND id = $1"
                     " AND (role <> 'owner' OR disabled OR ($3 = 'owner' AND NOT $4) OR " ANOTHER_OWNER ")",
                     NULL, NULL},
    [USER_PASSWORD] = {"user_password", TENANT,
                       "UPDATE app_user SET password_hash = $2, tokens_from = $3, updated_at = $3"
                       " WHERE org_id = $org AND id = $1",
                       NULL, NULL},
    [USER_DELETE] = {"user_delete", TENANT,
                     "DELETE FROM app_user WHERE org_id = $org AND id = $1"
                     " AND (role <> 'owner' OR disabled OR " ANOTHER_OWNER ")",
                     NULL, NULL},
    [USER_LOGIN] = {"user_login", SYSTEM,
                    "SELECT u.org_id, u.id, u.email, u.name, u.role, u.disabled, u.password_hash,"
                    " o.slug AS organisation_slug, o.name AS organisation_name"
                    " FROM app_user u JOIN organisation o ON o.id = u.org_id WHERE u.email = $1",
                    NULL, &ACCOUNT},
    [KNOWN_USERS] = {"known_users", SYSTEM,
                     "SELECT id, org_id, email, role, disabled, tokens_from FROM app_user", NULL, &KNOWER},
    [KNOWN_ENDED] = {"known_ended", SYSTEM, "SELECT jti FROM revoked_token WHERE expires_at > $1", NULL,
                     &ENDED},
    [DIRECTORY_VERSION] = {"directory_version", SYSTEM, "SELECT version FROM directory_version WHERE id = 1",
                           NULL, &DIRECTORY},
    [TOKEN_REVOKE] = {"token_revoke", TENANT,
                      "INSERT INTO revoked_token (org_id, jti, expires_at) VALUES ($org, $1, $2)"
                      " ON CONFLICT (org_id, jti) DO NOTHING",
                      NULL, NULL},
    [TOKEN_SWEEP] = {"token_sweep", TENANT,
                     "DELETE FROM revoked_token WHERE org_id = $org AND expires_at < $1", NULL, NULL},
    [AUDIT_INSERT] = {"audit_insert", TENANT, INSERT_AUDIT " VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8)",
                      NULL, NULL},
    [AUDIT_INSERT_ROWS] =
        {"audit_insert_rows", TENANT, INSERT_AUDIT " VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8)",
         INSERT_AUDIT " SELECT $org, u.* FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[],"
                      " $5::text[], $6::text[], $7::text[], $8::text[]) AS u",
         NULL},
};

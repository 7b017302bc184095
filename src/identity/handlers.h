/* The functions behind identity's routes and commands, for the table of the module. */
#ifndef IDENTITY_HANDLERS_H
#define IDENTITY_HANDLERS_H

#include "net/command.h"
#include "net/listing.h"
#include "net/route.h"

/* organisation.c */
extern const struct schema ORGANISATION_NEW;
extern const struct listing ORGANISATIONS;
handler_fn organisations_create, organisations_get;

/* user.c */
extern const struct listing USERS;
handler_fn users_create, users_get, users_patch, users_delete;

/* login.c */
extern const struct schema LOGIN, LOGGED_IN, ME, PASSWORD_CHANGE;
handler_fn auth_login, auth_logout, auth_me, auth_password;

/* operator.c */
extern const struct schema USER_ADD, USER_ADDED;
extern const struct option USER_ADD_OPTIONS[];
handler_fn operator_user_add;
enum err user_add_request(struct ctx *cx, const struct command_line *line, struct str *target,
                          struct str *body);
void user_add_print(struct ctx *cx, struct str data);

#endif

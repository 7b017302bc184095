/* The one table of modules, and the paths of earlier designs. */
#ifndef APP_MODULES_H
#define APP_MODULES_H

#include "base/module.h"
#include "net/route.h"

extern const struct module *const MODULES[];
extern const size_t MODULES_N;
extern const struct alias ALIASES[];
extern const size_t ALIASES_N;

#endif

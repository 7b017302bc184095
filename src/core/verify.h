/* `entrepot ledger verify`: adds all moves up again and compares the sums with the stored levels; also that
 * the marks on the levels (bounded, oversold) say what their numbers say. */
#ifndef CORE_VERIFY_H
#define CORE_VERIFY_H

#include "base/module.h"
#include "net/command.h"

extern const struct module VERIFY_MODULE;

#endif

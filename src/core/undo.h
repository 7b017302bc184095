/* Undo: takes a move back by a move of its own in the opposite direction, which names the one it reverses;
 * once. What was taken on meanwhile cannot be taken back: then the refusal names the bookings that depend on
 * the move. */
#ifndef CORE_UNDO_H
#define CORE_UNDO_H

#include "base/module.h"
#include "net/route.h"

extern const struct module UNDO_MODULE;

#endif

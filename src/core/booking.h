/* Bookings: several moves under one remark, all or none. Lines are summed per item and places, levels locked
 * in key order and each checked once against its whole change, so that the order of the lines says nothing.
 */
#ifndef CORE_BOOKING_H
#define CORE_BOOKING_H

#include "base/module.h"
#include "net/route.h"

extern const struct module BOOKING_MODULE;

#endif

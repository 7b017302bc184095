/* What the columns of a scan may be headed, in a file or in a sheet of Smartsheet: without regard to case,
 * spaces and signs. */
#ifndef CORE_SCAN_HEADING_H
#define CORE_SCAN_HEADING_H

#include "base/str.h"

enum scan_column {
    SCAN_NONE,
    SCAN_SKU,
    SCAN_NAME,
    SCAN_QUANTITY,
    SCAN_LOCATION,
    SCAN_BARCODE,
    SCAN_SCAN_ID,
    SCAN_EXCEPTION_ID,
    SCAN_OURS, /* of an export of exceptions: not read, and nothing to warn of */
    SCAN_COLUMNS
};
/* The members of a scan that they are; NULL of SCAN_NONE and SCAN_OURS. */
extern const char *const SCAN_FIELDS[SCAN_COLUMNS];

/* People upload files made for it; a sheet has columns for other things as well. */
enum { SCAN_OF_FILE = 1, SCAN_OF_SHEET = 2 };
enum scan_column scan_column_of(struct str heading, int of);

#endif

/* Calls that do not compile here: each has a bounded or checked replacement in base/. Every .c file includes
 * it last, after the system headers that declare them have been read. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#pragma GCC poison strcpy strncpy strcat strncat sprintf vsprintf gets strtok strtok_r alloca
#pragma GCC poison atoi atol atoll atof strtod scanf sscanf fscanf
#pragma GCC poison gmtime localtime ctime asctime mktime rand srand random setjmp longjmp system tmpnam mktemp

#endif

// SPDX-License-Identifier: MIT
// The few macros that every layer uses.
#pragma once
#include <stddef.h>

#define container_of(ptr, type, member)  ((type *)((char *)(ptr)-offsetof(type, member)))
#define countof(array)                   (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)                        ((a) < (b) ? (a) : (b))
#define MAX(a, b)                        ((a) > (b) ? (a) : (b))
#define ROUND_UP(n, unit)                (((n) + (unit)-1) / (unit) * (unit))
#define LITERAL(x)                       #x
#define LITERAL_OF(macro)                LITERAL(macro)
#define PRINTF_LIKE(format_index, first) __attribute__((format(printf, format_index, first)))

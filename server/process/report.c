// SPDX-License-Identifier: MIT
#include "process/report.h"
#include <stdio.h>

void report_error(const char *report) { fprintf(stderr, "spate: %s\n", report); }

// SPDX-License-Identifier: MIT
// What libpq has received, in the form in which it is handed on.
#pragma once
#include <libpq-fe.h>
#include "client/pg_connection.h"

// Adds a result to what has come before. False: the answer takes no more, until it has been emptied.
bool pg_answer_add(struct pg_answer *a, const PGresult *r);

// It has failed for another reason than the server's.
void pg_answer_fail(struct pg_answer *a, const char *message);

// A text of libpq's without what only lines need.
void pg_put_message(struct buf *b, const char *text);

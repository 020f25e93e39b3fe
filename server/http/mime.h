// SPDX-License-Identifier: MIT
// Content types by the ends of file names.
#pragma once
#include <stdbool.h>
#include "base/span.h"

struct mime {
  const char *extension;
  const char *type;     // as Content-Type says it, the charset included
  bool is_compressible; // a neighbour in a content coding may lie beside it
};

// What a file of this name holds, in any case; static. Bytes of no known kind where the name tells nothing.
const struct mime *mime_of(struct span name);

// Whether a Content-Type is that of a text, which compresses well: text/..., JSON, XML, scripts, SVG.
bool mime_is_text(struct span type);

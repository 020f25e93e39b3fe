-- SPDX-License-Identifier: MIT
-- Changes that nobody could see, which the compiler does not know: { file, change, the line, why }. They are not counted.
return {
}

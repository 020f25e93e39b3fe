-- SPDX-License-Identifier: MIT
return { log = { access = false } }

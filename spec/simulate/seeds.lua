-- SPDX-License-Identifier: MIT
-- Seeds that have failed. They are run first, each time.
return {}

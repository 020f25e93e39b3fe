-- SPDX-License-Identifier: MIT
-- Seeds whose programs have failed. They are run first, each time.
return {
}

-- SPDX-License-Identifier: MIT
-- Seeds whose programs have failed. They are run first, each time.
return { 4, 5032, 5049, 5098, 5122, 5210, 202611270360, 202611270731 }

-- SPDX-License-Identifier: MIT
-- Seeds that have failed. They are run first, each time.
return { 39, 59, 121, 133, 286, 337, 456, 1230, 1378, 2866, 3067, 5022, 5050, 6217, 9100, 9130, 3899, 202611290052, 202611270956, 202612011249, 202705031716 }

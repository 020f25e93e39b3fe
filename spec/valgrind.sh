#!/bin/sh
# SPDX-License-Identifier: MIT
# The program under valgrind, for specs that start it: SPATE=spec/valgrind.sh. Exit code 99: valgrind has found something.
# What the kernel reads by io_uring it does not see, so sends are made one by one.
SPATE_IO_URING=off exec valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect \
  --errors-for-leak-kinds=definite,indirect --num-callers=20 ${BUILD_ROOT:-$(dirname "$0")/..}/build/spate "$@"

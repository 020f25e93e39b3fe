#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh SECONDS COMMAND...: runs it, with all that it starts for so long at most. Where all their threads sleep, and none has so
# much as woken for three seconds, it waits for something that will not come, and is killed at once.
patience=$1
shift
setsid "$@" &
pid=$!
{
  ticks=0 still=0 before=
  while [ $((ticks += 1)) -le "$patience" ] && [ $still -lt 3 ] && sleep 1; do
    now=$(for one in $(ps -o pid= --sid $pid); do grep -h -e ^State -e ctxt "/proc/$one/task/"*/status; done)
    case $now in
    *"R (running)"* | *"D (disk"*) still=0 ;;
    "$before") still=$((still + 1)) ;;
    *) still=0 ;;
    esac
    before=$now
  done
  kill -9 -$pid
} > /dev/null 2>&1 &
watcher=$!
wait $pid
code=$?
kill $watcher 2> /dev/null
kill -9 -$pid 2> /dev/null # what a spec that crashed has left behind
exit $code

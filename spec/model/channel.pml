/* SPDX-License-Identifier: MIT
 * A channel on two nodes and a store that numbers: the rules by which events reach a reader, wherever that comes back.
 * It starts with the first event. Each event knows, for the checker alone, which one was directly before it; who gets it
 * has to have that one: nothing lost, nothing twice, order kept. Where its last was lost by the store, and only then, the
 * reader is told so (reset), and begins anew. Once nothing moves any more, it has all.
 *
 * One reader stands for all: others do no more than have a node load the channel and keep it, which nodes here do as they
 * like. The store carries out one call at a time, as Redis does. It restarts, with its newest event or without. What it
 * tells nodes lies on wires, which are cut with what is on them, or lose a message without a notice. Nodes die; the reader
 * leaves. Of all that two things happen. A node's history is one event; what is behind it has to be read from the store,
 * one event a page.
 *
 * Without one of these rules (-DNO_...) it fails:
 *   NO_ATOMIC  subscribing and reading history are one step
 *   NO_LAST    what a worker was left before the reader came is not for it
 *   NO_FOLLOW  a reader of the past goes live only where history has all that came since
 *   NO_AHEAD   nor where the channel is not there yet: what the reader has may be lost by now
 *   NO_KNOWN   what a channel has is not admitted again
 *   NO_GAP     what is missing is read before anything later is admitted
 *   NO_EPOCH   numbers of a store that has restarted are of a new epoch
 *   NO_QUIET   a node that hears nothing looks whether there is something
 */
#define EVENTS 3
#define FAULTS 2 /* restarts (one), cuts, losses, deaths, nodes that let go of the channel, a reader that leaves */
#define NODES 2
#define EPOCH 8 /* positions: epoch * EPOCH + number */

mtype = { OFF, COMING, REPLAYING, LIVE };

/* The store: what it keeps, oldest first. Events are counted as they are published, from 1. */
byte kept, kept_at[EVENTS], kept_event[EVENTS], epoch, number, published, faults;
bool has_restarted;
hidden byte none; /* what is taken off a wire or out of an outlet unread */
byte before[EVENTS + 1]; /* the checker's */

chan wire[NODES] = [EVENTS] of { byte, byte };   /* position, event */
chan outlet[NODES] = [EVENTS] of { byte, byte }; /* admitted, and not handed out yet */
bool is_linked[NODES], is_live[NODES];
byte newest[NODES], held[NODES]; /* position and event; history is empty where newest == dropped */
byte dropped[NODES];

mtype state = OFF;
byte home, has, has_at; /* the event that it has last, and its id */
byte up_to;             /* what was admitted before it came */
bool has_read;

#define TAIL (kept -> kept_at[kept - 1] : 0)
#define TAIL_EVENT (kept -> kept_event[kept - 1] : 0)
#define IS_HELD(n) (has_at == newest[n] || has_at == dropped[n])

#ifdef NO_LAST
#define IS_NEWS(at) true
#else
#define IS_NEWS(at) (at > up_to)
#endif

/* Sets `i` to how many kept events are up to the position; `is_gone`, and 0, where none is at it. */
inline find(at) {
  i = 0;
  is_gone = false;
  do
  :: i < kept && kept_at[i] != at -> i++
  :: else -> break
  od;
  if
  :: at == 0 -> i = 0
  :: at != 0 && i == kept -> i = 0; is_gone = true
  :: else -> i++
  fi
}

inline receive(at, e) {
  assert(before[e] == has);
  has = e;
  has_at = at
}

inline admit(n, at, e) {
  dropped[n] = newest[n];
  newest[n] = at;
  held[n] = e;
  if
  :: state == LIVE && home == n -> outlet[n]!at, e
  :: else
  fi
}

inline drain(c) {
  do
  :: nempty(c) -> c?none, none
  :: empty(c) -> break
  od;
  none = 0
}

inline cut_reader() {
  state = OFF;
  home = 0;
  up_to = 0;
  has_read = false
}

inline forget(n) {
  is_linked[n] = false;
  is_live[n] = false;
  newest[n] = 0;
  dropped[n] = 0;
  held[n] = 0;
  drain(wire[n]);
  drain(outlet[n])
}

proctype store() {
  byte n, lost;
end:
  do
  :: d_step { published < EVENTS ->
      published++;
      number++;
      before[published] = TAIL_EVENT;
      kept_at[kept] = epoch * EPOCH + number;
      kept_event[kept] = published;
      kept++;
      do
      :: n < NODES ->
        if
        :: is_linked[n] -> wire[n]!kept_at[kept - 1], published
        :: else
        fi;
        n++
      :: else -> break
      od;
      n = 0 }
  :: atomic { !has_restarted && faults < FAULTS && published > 0 ->
      has_restarted = true;
      faults++;
      if
      :: true
      :: kept > 0 -> lost = 1
      fi;
      kept = kept - lost;
#ifdef NO_EPOCH
      number = number - lost;
#else
      epoch++;
      number = 0;
#endif
      if
      :: lost > 0 -> kept_at[kept] = 0; kept_event[kept] = 0; lost = 0
      :: else
      fi }
  od
}

proctype node(byte n) {
  byte i, at, e;
  byte page_at[EVENTS], page_event[EVENTS], page_count;
  bool is_gone, must_read;
end:
  do
  /* Loads: hears first, then looks where the channel is. Lets go of it where nobody is subscribed. */
  :: atomic { !is_live[n] && !is_linked[n] -> is_linked[n] = true }
  :: d_step { !is_live[n] && is_linked[n] ->
      newest[n] = TAIL;
      dropped[n] = newest[n];
      is_live[n] = true }
  :: d_step { is_live[n] && !(state == LIVE && home == n) && faults < FAULTS ->
      faults++;
      forget(n);
      must_read = false }

  :: atomic { is_live[n] && is_linked[n] && nempty(wire[n]) ->
      d_step {
        wire[n]?at, e;
        if
#ifdef NO_KNOWN
        :: at <= newest[n] -> admit(n, at, e)
#else
        :: at <= newest[n]
#endif
#ifdef NO_GAP
        :: at > newest[n] -> admit(n, at, e)
#else
        :: at == newest[n] + 1 -> admit(n, at, e)
        :: at > newest[n] + 1 -> must_read = true
#endif
        fi;
        at = 0;
        e = 0
      } }
#ifndef NO_QUIET
  :: d_step { is_live[n] && is_linked[n] && !must_read && newest[n] != TAIL -> must_read = true }
#endif
  /* What it has not got: as that was when the store was asked, admitted when the answer comes. */
  :: must_read ->
    d_step {
      must_read = false;
      find(newest[n]);
      do
      :: i < kept ->
        page_at[page_count] = kept_at[i];
        page_event[page_count] = kept_event[i];
        page_count++;
        i++
      :: else -> break
      od;
      i = 0 };
    d_step {
      if
      :: is_gone -> /* its subscribers are cut, and come back with their ids */
        newest[n] = (page_count -> page_at[page_count - 1] : 0);
        dropped[n] = newest[n];
        held[n] = 0;
        drain(outlet[n]);
        if
        :: state == LIVE && home == n -> cut_reader()
        :: else
        fi
      :: else
      fi;
      is_gone = false;
      do
      :: i < page_count ->
        if
        :: page_at[i] > newest[n] -> admit(n, page_at[i], page_event[i])
        :: else
        fi;
        page_at[i] = 0;
        page_event[i] = 0;
        i++
      :: else -> break
      od;
      i = 0;
      page_count = 0 }

  :: atomic { nempty(outlet[n]) ->
      d_step {
        outlet[n]?at, e;
        if
        :: state == LIVE && home == n && IS_NEWS(at) -> receive(at, e)
        :: else
        fi;
        at = 0;
        e = 0 } }

  :: d_step { is_live[n] && is_linked[n] && faults < FAULTS -> faults++; is_linked[n] = false; drain(wire[n]) }
  :: d_step { is_live[n] && !is_linked[n] -> is_linked[n] = true; must_read = true }
  :: d_step { nempty(wire[n]) && faults < FAULTS -> faults++; wire[n]?at, e; at = 0; e = 0 }
  :: d_step { is_live[n] && faults < FAULTS ->
      faults++;
      forget(n);
      must_read = false;
      if
      :: state != OFF && home == n -> cut_reader()
      :: else
      fi }
  od
}

/* Behind `has_at`, where history has what came since. */
inline enter(n) {
  up_to = newest[n];
  if
  :: has_at < newest[n] && dropped[n] != newest[n] -> receive(newest[n], held[n])
  :: else
  fi;
  state = LIVE
}

proctype reader() {
  byte i;
  bool is_gone;
end:
  do
  :: atomic { state == OFF ->
      if
      :: home = 0
      :: home = 1
      fi;
      state = COMING }
  :: d_step { state == COMING && is_live[home] && !has_read ->
      if
#ifdef NO_ATOMIC
      :: IS_HELD(home) -> enter(home); state = COMING; has_read = true
#else
      :: IS_HELD(home) -> enter(home)
#endif
      :: else -> state = REPLAYING
      fi }
#ifdef NO_ATOMIC
  :: d_step { state == COMING && is_live[home] && has_read -> has_read = false; up_to = newest[home]; state = LIVE }
#endif
  :: d_step { state == REPLAYING && !has_read ->
      find(has_at);
      if
      :: is_gone ->
        i = 0;
        do
        :: i < kept -> assert(kept_event[i] != has); i++ /* it is told so only where it is so */
        :: else -> break
        od;
        i = 0;
        has = 0;
        has_at = 0
      :: else
      fi;
      if
      :: i < kept -> receive(kept_at[i], kept_event[i])
      :: else
      fi;
      is_gone = false;
      i = 0;
      has_read = true }
#ifdef NO_FOLLOW
  :: d_step { state == REPLAYING && has_read && is_live[home] -> has_read = false; up_to = newest[home]; state = LIVE }
#else
  :: d_step { state == REPLAYING && has_read && is_live[home] && IS_HELD(home) -> has_read = false; enter(home) }
#endif
#ifdef NO_AHEAD
  :: d_step { state == REPLAYING && has_read && is_live[home] && has_at > newest[home] -> has_read = false; up_to = has_at; state = LIVE }
#endif
  :: d_step { state == REPLAYING && has_read && has_at != TAIL -> has_read = false }
  :: d_step { state != OFF && faults < FAULTS -> faults++; cut_reader() }
  od
}

/* Nothing can move any more. */
proctype checker() {
  timeout -> assert(state == LIVE && has == TAIL_EVENT)
}

init {
  atomic {
    run store();
    run node(0);
    run node(1);
    run reader();
    run checker()
  }
}

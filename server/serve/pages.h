// SPDX-License-Identifier: MIT
// Pages of channels' past that a worker asks stores for: few at a time, one for all who want the same while
// it is on its way, and those that are held back for too long are refused. Worker thread only.
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "loop/loop.h"
#include "store/store.h"

struct page;

// Who waits for a page is told by its link, which is in no list any more, in a later turn.
typedef void page_fn(struct list *waiter, struct page *p);

struct pages {
  struct loop *loop;
  struct map by_key;             // those that may be shared still
  struct list held, asked, come; // held back, oldest first; on their way; with waiters who have not been told
  size_t asked_count;            // and not told of to all who wait
  struct timer late;
  struct loop_hook hook;
};

struct page {
  struct map_node node; // of by_key, where it has a name
  struct page_key {
    struct channel *channel;
    struct position at; // what lies behind it, where `last` is 0; else the newest so many, -1: all
    long last;
  } key;
  struct pages *pages;
  struct store_request
      *request;     // answered, once somebody is told; its events are shared: references are taken
  struct list link; // of one of pages' lists
  struct list waiters;
  page_fn *on_page;
  unsigned refs; // of those who have asked for it, and one of its own until all are told
  bool is_asked; // else it is held back, or was refused
  double since;  // when it was asked for
};

void pages_init(struct pages *p, struct loop *l);

// Nobody has a page any more.
void pages_deinit(struct pages *p);

// Asks for a page, with a reference; `home`: the worker's. All give the same function.
struct page *pages_ask(struct pages *p, struct inbox *home, const struct page_key *key, struct list *waiter,
                       page_fn *on_page);

// Drops the reference. One that is held back and that nobody wants is never asked for.
void page_unref(struct page *p);

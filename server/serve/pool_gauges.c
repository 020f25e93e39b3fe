// SPDX-License-Identifier: MIT
// The metrics' lock guards who is listed, not the numbers, which their owners go on writing.
#include "serve/pool_gauges.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/counter.h"
#include "base/lock.h"
#include "base/util.h"
#include "serve/metrics.h"
#include "serve/service.h"

static void store(uint64_t *to, uint64_t value) { __atomic_store_n(to, value, __ATOMIC_RELAXED); }
static uint64_t load(const uint64_t *from) { return __atomic_load_n(from, __ATOMIC_RELAXED); }

static void name_pool(struct pool_gauges *g, const char *kind, struct span name) {
  size_t len = MIN(name.len, sizeof g->name - 2 - strlen(kind));
  name = (struct span){name.bytes + name.len - len, len};
  snprintf(g->name, sizeof g->name, "%s:" SPAN_FMT, kind, SPAN_ARG(name));
  for (char *c = g->name; *c; c++)
    if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\') *c = '_';
}

void pool_gauges_add(struct service *s, struct pool_gauges *g, const char *kind, struct span name) {
  if (!s->process) return; // nothing is served
  name_pool(g, kind, name);
  lock_take(&s->process->metrics.lock);
  list_append(&s->process->metrics.pools, &g->link);
  lock_release(&s->process->metrics.lock);
}

void pool_gauges_remove(struct service *s, struct pool_gauges *g) {
  if (!s->process) return;
  lock_take(&s->process->metrics.lock);
  list_remove(&g->link);
  lock_release(&s->process->metrics.lock);
}

void pool_gauges_set(struct pool_gauges *g, struct pool_load l) {
  store(&g->load.in_use, l.in_use), store(&g->load.idle, l.idle);
  store(&g->load.waiting, l.waiting), store(&g->load.limit, l.limit);
}

static void add(struct pool_sum sums[POOLS_MAX], size_t *count, const char *name, struct pool_load l) {
  size_t i = 0;
  while (i < *count && strcmp(sums[i].name, name) != 0) i++;
  if (i == POOLS_MAX) i--;
  if (i == *count) {
    sums[i] = (struct pool_sum){0};
    snprintf(sums[i].name, POOL_NAME_MAX, "%s", i == POOLS_MAX - 1 ? "other" : name);
    ++*count;
  }
  struct pool_load *sum = &sums[i].load;
  sum->in_use += l.in_use, sum->idle += l.idle, sum->waiting += l.waiting, sum->limit += l.limit;
}

static void add_threads(struct pool_sum sums[POOLS_MAX], size_t *count, const struct pool pools[WORK_KINDS]) {
  static const char *const names[WORK_KINDS] = {
      [WORK_NAMES] = "threads:names",      [WORK_FILES] = "threads:files",
      [WORK_HASHES] = "threads:hashes",    [WORK_OFFLOAD] = "threads:offload",
      [WORK_DATABASES] = "threads:sqlite", [WORK_CANCELS] = "threads:cancels"};
  for (size_t i = 0; i < WORK_KINDS; i++) {
    const struct pool *p = &pools[i];
    uint64_t threads = load(&p->threads), running = load(&p->running);
    struct pool_load l = {.in_use = running,
                          .idle = threads > running ? threads - running : 0,
                          .waiting = load(&p->queued),
                          .limit = load(&p->threads_max)};
    add(sums, count, names[i], l);
  }
}

size_t pool_gauges_sum(struct metrics *m, struct pool_sum sums[POOLS_MAX]) {
  size_t count = 0;
  lock_take(&m->lock);
  list_each (node, &m->workers) add_threads(sums, &count, container_of(node, struct service, counted)->pools);
  list_each (node, &m->pools) {
    const struct pool_gauges *g = container_of(node, struct pool_gauges, link);
    const struct pool_load l = {load(&g->load.in_use), load(&g->load.idle), load(&g->load.waiting),
                                load(&g->load.limit)};
    add(sums, &count, g->name, l);
  }
  lock_release(&m->lock);
  return count;
}

void pool_gauges_expose(struct buf *out, struct metrics *m) {
  static const struct {
    const char *name, *help;
    size_t offset;
  } families[] = {
      {"in_use", "Threads and connections of pools that somebody has.", offsetof(struct pool_load, in_use)},
      {"idle", "Those that nobody has.", offsetof(struct pool_load, idle)},
      {"waiting", "Who waits for one.", offsetof(struct pool_load, waiting)},
      {"limit", "How many the pool may have, of all workers.", offsetof(struct pool_load, limit)}};
  struct pool_sum sums[POOLS_MAX];
  size_t count = pool_gauges_sum(m, sums);
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    buf_printf(out, "# HELP spate_pool_%s %s\n# TYPE spate_pool_%s gauge\n", families[f].name,
               families[f].help, families[f].name);
    for (size_t i = 0; i < count; i++) {
      const char *value = (const char *)&sums[i].load + families[f].offset;
      buf_printf(out, "spate_pool_%s{pool=\"%s\"} %" PRIu64 "\n", families[f].name, sums[i].name,
                 *(const uint64_t *)(const void *)value);
    }
  }
}

// SPDX-License-Identifier: MIT
// Whether a cluster is there: one of its nodes is asked each second for the cluster's state, another one
// where it does not answer or says that the cluster has failed. The loop's thread only.
#pragma once
#include "client/redis_cluster.h"

struct redis_reach {
  struct redis_cluster *cluster;
  struct loop *loop;
  struct redis_command asking;
  const struct redis_host *asked; // is compared only
  double asked_at, well_at;       // the last question; the last answer that all is well
  bool is_well;                   // as that to the last question was
  char why[200];                  // it is not
};

// The cluster outlives it.
void redis_reach_init(struct redis_reach *r, struct loop *loop, struct redis_cluster *cluster);
void redis_reach_deinit(struct redis_reach *r);

// Asks where it is time to.
void redis_reach_look(struct redis_reach *r);

// Whether no node has said for some seconds that all is well: longer than asking some that have gone takes.
bool redis_reach_is_down(const struct redis_reach *r);

// SPDX-License-Identifier: MIT
// A step is one function of redis_library.lua, so it needs nothing of what came before it. Its command has a
// deadline of its own; what becomes of it there when that is over nobody knows.
#include "client/redis_steps.h"
#include <stdlib.h>
#include "base/mem.h"

struct redis_step {
  struct redis_command command;
  struct list link;
  struct redis_steps *steps;
  struct store_call *call;
  bool is_repeated; // as the server had not the functions
};

// Lets go of it: the call, which is to be answered.
static struct store_call *step_end(struct redis_step *s) {
  struct store_call *call = s->call;
  redis_leave(&s->command);
  list_remove(&s->link);
  free(s);
  return call;
}

static void fail(struct redis_step *s, const char *why) {
  struct redis_steps *all = s->steps;
  store_call_unavailable(step_end(s), why);
  all->on_answered(all);
}

static void send_step(struct redis_step *s) {
  if (!call_step(s->steps->calls, &s->command, s->call->step, &s->call->words)) fail(s, "busy");
}

// The server has not the functions: nothing was done.
static void repeat(struct redis_step *s) {
  call_load(s->steps->calls, words_at(&s->call->words, 0));
  s->is_repeated = true;
  send_step(s);
}

static void settle(struct redis_step *s, const redisReply *reply) {
  struct redis_steps *all = s->steps;
  for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < (size_t)reply->elements; i++)
    words_add(&s->call->answers, redis_text(reply->element[i]));
  store_call_answer(step_end(s), STORE_OK);
  all->on_answered(all);
}

static void on_reply(struct redis_command *c, struct redis_answer *a) {
  struct redis_step *s = container_of(c, struct redis_step, command);
  if (a->code == REDIS_CODE_NOSCRIPT && !s->is_repeated) repeat(s);
  else if (a->code != REDIS_CODE_OK) fail(s, redis_code_name(a->code));
  else settle(s, a->reply);
}

void redis_step(struct redis_steps *all, struct store_call *call) {
  struct redis_step *s = xcalloc(1, sizeof *s);
  s->command.on_reply = on_reply, s->steps = all, s->call = call;
  list_init(&s->link);
  list_append(&all->list, &s->link);
  send_step(s);
}

void redis_steps_init(struct redis_steps *all, struct redis_calls *calls,
                      void (*on_answered)(struct redis_steps *all)) {
  *all = (struct redis_steps){.calls = calls, .on_answered = on_answered};
  list_init(&all->list);
}

void redis_steps_refuse(struct redis_steps *all) {
  while (!list_empty(&all->list)) fail(container_of(all->list.next, struct redis_step, link), "closed");
}

-- SPDX-License-Identifier: MIT
-- Faults that put_back.lua puts back, one at a time, for the simulator to find: what a tired engineer writes, and what
-- was mended once. Each is { name =, file =, from =, to =, what = }: `from` stands once in the file, `what` says what
-- goes wrong.
return {
  -- event/
  {
    name = "resume_twice", file = "server/event/history.c",
    from = "if (position_is_after(event_position(history_at(h, middle)), p)) high = middle;",
    to = "if (!position_is_after(p, event_position(history_at(h, middle)))) high = middle;",
    what = "a client that comes back gets the event with its last id once more: <= for <",
  },
  {
    name = "gap_of_one", file = "server/event/history.c",
    from = "before.seq > p.seq ||", to = "before.seq > p.seq + 1 ||",
    what = "a client that has missed just one event which history no longer holds is not told",
  },
  {
    name = "another_life", file = "server/event/history.c",
    from = "if (before.epoch != p.epoch || before.seq", to = "if (before.seq",
    what = "an id of a channel that is gone counts in the one that has its name now",
  },
  {
    name = "one_short", file = "server/event/history.c",
    from = "while (h->count && (h->count >= h->max ||", to = "while (h->count && (h->count + 1 >= h->max ||",
    what = "history holds one event less than it is to: off by one",
  },
  {
    name = "ring_grown", file = "server/event/history.c",
    from = "h->ring = ring, h->cap = cap, h->first = 0;", to = "h->ring = ring, h->cap = cap;",
    what = "a ring that grows when its first event is not in its first place has its events in wrong ones",
  },
  {
    name = "shares_after_a_drop", file = "server/event/gzip.c",
    from = "if (g->run_from == g->run_to || g->run_to != f->pos) {", to = "if (g->run_from == g->run_to) {",
    what = "a compressed stream that has missed an event goes on with blocks that refer to it",
  },
  {
    name = "shares_after_a_comment", file = "server/event/gzip.c",
    from = "  if (!is_own(g)) close_run(g);\n  g->crc = gzip_sum", to = "  g->crc = gzip_sum",
    what = "a compressed stream that has had bytes of its own goes on as if it had none",
  },
  {
    name = "shares_at_once", file = "server/event/forms.c",
    from = "return shared && run_from <= f->floor ?", to = "return shared ?",
    what = "who has just come gets blocks that refer to what was before",
  },
  {
    name = "deaf_worker", file = "server/event/channel.c",
    from = "if (!o->subscriber_count) continue;\n    if (!outlet_leave", to = "if (!o->subscriber_count) break;\n    if (!outlet_leave",
    what = "workers behind one whose last subscriber has gone hear nothing",
  },
  {
    name = "finish_for_one", file = "server/event/channel.c",
    from = "o && !was_finished; o = o->next)\n    if (o->subscriber_count) post(o);",
    to = "o && !was_finished && o->subscriber_count; o = o->next)\n    post(o);",
    what = "the end of a channel is not told to workers behind one without subscribers",
  },
  {
    name = "lost_for_ever", file = "server/event/outlet.c",
    from = "o->posted = false, o->loss = OUTLET_WHOLE;", to = "o->posted = false;",
    what = "a worker that was too late once cuts each later subscriber at the next event",
  },
  {
    name = "unbounded_outlet", file = "server/event/outlet.c",
    from = "return o->pending_count >= PENDING_MAX || (waiting && waiting + e->len > bytes_max);",
    to = "return o->pending_count >= PENDING_MAX && waiting + e->len > bytes_max;",
    what = "what waits for a busy worker has no bound in bytes",
  },
  {
    name = "member_stays", file = "server/event/members.c",
    from = "if (!member || --member->count) return false;", to = "if (!member || member->count--) return false;",
    what = "who has left a channel stays a member, and nobody is told",
  },
  {
    name = "ttl_put_off", file = "server/event/shared.c",
    from = "store(d, e, u, &sum, e ? 0 : u->ttl)", to = "store(d, e, u, &sum, u->ttl)",
    what = "each incr of a dictionary's number puts off its end",
  },
  {
    name = "incr_from_init", file = "server/event/shared.c",
    from = "struct shared_value sum = e ? e->value : u->other;",
    to = "struct shared_value sum = e && !timer_is_armed(&e->expiry) ? e->value : u->other;",
    what = "what was added to a number that has an end is lost with the next incr",
  },
  {
    name = "lonely_while_it_reads", file = "server/event/channel.c",
    from = "c->subscriber_count || c->catching_up ? -1", to = "c->subscriber_count ? -1",
    what = "a producer of sse.resumable is stopped while its only reader is sent the past by a store",
  },
  {
    name = "epoch_ignored", file = "server/event/outlet.c",
    from = "!position_is_after(event_position(d->events[i]), s->last)", to = "event_position(d->events[i]).seq <= s->last.seq",
    what = "what is published in a new epoch does not reach subscribers while its numbers are below those that they have had",
  },

  -- serve/
  {
    name = "lost_before_its_reply", file = "server/serve/feed.c",
    from = "else if (state == FEED_CUT_OFF || state == FEED_BROKEN) stream_end(s, REASON_ERROR, true);\n  else stream_fall_behind(s);",
    to = "else if (state == FEED_CUT_OFF || state == FEED_BROKEN) stream_end(s, REASON_ERROR, true);",
    what = "a subscription that fell behind before its reply is a stream that stays open, subscribed to nothing",
  },
  {
    name = "two_readers", file = "server/serve/feed.c",
    from = "  struct event *farewell = f->is_kicked ? f->farewell : NULL;\n  feed_tell_reader(f);", to = "  struct event *farewell = f->is_kicked ? f->farewell : NULL;",
    what = "a task that reads a subscription is left behind in it where a reply takes that over",
  },
  {
    name = "unbounded_feed", file = "server/serve/feed.c",
    from = "return count >= (size_t)f->queue_max + f->beside || (count && bytes + e->len > bytes_max + f->bytes_beside);",
    to = "return count >= (size_t)f->queue_max + f->beside && bytes + e->len > bytes_max + f->bytes_beside;",
    what = "a subscriber's queue is bounded by events or bytes only where both are too many",
  },
  {
    name = "conflated_away", file = "server/serve/feed.c",
    from = "s->blocked && stream_conflate(s, e)) count_dropped(f);", to = "s->blocked && stream_conflate(s, e)) return count_dropped(f), true;",
    what = "of two events with one key that wait for a stalled client neither is sent",
  },
  {
    name = "dropped_not_freed", file = "server/serve/feed.c",
    from = "  else event_unref(shift(f));\n", to = "  else shift(f);\n",
    what = "an event that a subscription drops is never freed",
  },
  {
    name = "newest_dropped", file = "server/serve/event_queue.c",
    from = "for (uint32_t i = first_whole(q, framing); i < q->count; i++) {\n    if (!q->events[i]->seq) continue; // the head, a comment",
    to = "for (uint32_t i = q->count, first = first_whole(q, framing); i-- > first;) {\n    if (!q->events[i]->seq) continue; // the head, a comment",
    what = "drop_oldest drops the newest of what waits",
  },
  {
    name = "part_forgotten", file = "server/serve/event_queue.c",
    from = "q->left = left, q->in_flight -= gone", to = "q->in_flight -= gone",
    what = "what has left of an event in part is not counted when the rest has",
  },
  {
    name = "in_flight_dropped", file = "server/serve/event_queue.c",
    from = "size_t begun = q->left + q->in_flight;", to = "size_t begun = q->left;",
    what = "what the transport has already is dropped or conflated",
  },
  {
    name = "comment_too_early", file = "server/serve/stream.c",
    from = "s->last_sent = stream_service(s)->loop->now;\n  if (s->events_out < UINT32_MAX)", to = "if (s->events_out < UINT32_MAX)",
    what = "an event does not put off the keep-alive comment",
  },
  {
    name = "armed_for_later", file = "server/serve/stream.c",
    from = "if (!s->leaving) loop_arm_by(", to = "if (!s->leaving && !timer_is_armed(&s->timer)) loop_arm_by(",
    what = "a stream's timer that waits for something is not armed again for what comes before that",
  },
  {
    name = "clean_cut", file = "server/serve/stream.c",
    from = "if (s->framing == FRAMING_CHUNKED && !cut)", to = "if (s->framing == FRAMING_CHUNKED)",
    what = "a stream that fails has a clean end",
  },
  {
    name = "ended_and_subscribed", file = "server/serve/stream.c",
    from = "  if (s->source) s->source->ops->stop(s->source);\n", to = "",
    what = "a stream that has ended stays subscribed, and what comes takes back what waits",
  },
  {
    name = "never_drained", file = "server/serve/stream.c",
    from = "s->queue.count <= set->limits.queue_events / 2)", to = "s->queue.count < set->limits.queue_events / 2)",
    what = "with limits.queue_events = 1 a producer that waits for its client waits for ever: < for <=",
  },
  {
    name = "end_put_off", file = "server/serve/stream.c",
    from = "  if (s->leaving) at = MIN(at, s->timer.deadline); // who asks again does not put it off\n", to = "",
    what = "reloads in a row put off the end of old streams",
  },
  {
    name = "opened_too_late", file = "server/serve/stream_answer.c",
    from = "s->generation <= service->left_generation", to = "s->generation < service->left_generation",
    what = "a stream that old code opens when its streams have been told to end stays for ever",
  },
  {
    name = "pipelined_forgotten", file = "server/serve/conn.c",
    from = "if (can && conn_can_carry_more(c)) advance(c, SPAN(\"\"));", to = "if (can && conn_can_carry_more(c)) conn_watch(c), conn_want_read(c);",
    what = "a request that waited behind a stream is not looked at before more bytes come",
  },
  {
    name = "no_time_of_its_own", file = "server/serve/conn_sink.c",
    from = "  else conn_allow_body_time(c);\n", to = "",
    what = "a body that comes while the answer before it is made has the time that was left to one before it",
  },
  {
    name = "place_kept", file = "server/serve/conn.c",
    from = "  admission_leave(&service->process->admission, (enum admission_stay)c->stay, c->admission_address);",
    to = "  if (c->stay == ADMISSION_TURNED_AWAY)\n    admission_leave(&service->process->admission, (enum admission_stay)c->stay, c->admission_address);",
    what = "a connection that is gone is counted as one that is there",
  },
  {
    name = "half_an_upload", file = "server/serve/spool.c",
    from = "if (n < 0) return -1;\n    bytes.bytes", to = "if (n < 0) return 0;\n    bytes.bytes",
    what = "what the disk did not take of an upload is missing from it, and nobody is told",
  },

  -- loop/
  {
    name = "armed_again", file = "server/loop/timer.c",
    from = "else if (e->next) sift(h, e->place,", to = "else if (e->next) sift_up(h, e->place,",
    what = "the second of a row that takes the place of the first in the heap stays there, and those below it fire late",
  },
  {
    name = "order_wraps", file = "server/loop/timer.c",
    from = "h->entries[h->slots[0].id].order < armed_before)",
    to = "(int32_t)(uint32_t)(h->entries[h->slots[0].id].order - armed_before) < 0)",
    what = "a timer that stays armed while 2^31 others are stops all timers of its worker",
  },
  {
    name = "never_accepts_again", file = "server/loop/sock.c",
    from = "  loop_arm(loop, &l->pause, loop->now + PAUSE_SECONDS);\n", to = "  (void)loop;\n",
    what = "a listener that could not accept rests for ever",
  },
  {
    name = "refused_for_ever", file = "server/loop/watch.c",
    from = "    loop_arm(w->loop, retry_of(w), w->loop->now + RETRY_SECONDS);\n", to = "",
    what = "a descriptor that the kernel would not watch is not offered again",
  },

  -- http/
  {
    name = "guard_not_reset", file = "server/http/http1.c",
    from = "  h->state = HTTP1_HEAD;\n  h->guard = (struct head_guard){0};", to = "  h->state = HTTP1_HEAD;",
    what = "the second request of a connection is read in the state in which the first one's was left",
  },
  {
    name = "lead_counted_twice", file = "server/http/http1.c",
    from = "    g->scanned -= lead, g->lead_len = 0;\n", to = "    g->lead_len = 0;\n",
    what = "an empty line before a request that comes in pieces hides as many of its bytes",
  },

  -- script/
  {
    name = "closers_refused", file = "server/script/exchange.c",
    from = "task_follow(L, 2, &closers_ops)->exchange = ex;", to = "task_spawn(L, 2, &closers_ops)->exchange = ex;",
    what = "at limits.tasks the functions of on_close are not run",
  },
  {
    name = "stream_refused", file = "server/script/exchange.c",
    from = "struct task *t = task_follow(L, lua_gettop(L) - 1, NULL);", to = "struct task *t = task_spawn(L, lua_gettop(L) - 1, NULL);",
    what = "at limits.tasks a function stream is its head and a cut",
  },
  {
    name = "closers_of_who_left", file = "server/script/exchange.c",
    from = "if (ex->anchor != LUA_NOREF) {\n    set_closing(ex, true);", to = "if (ex->anchor != LUA_NOREF && reason == REASON_FINISHED) {\n    set_closing(ex, true);",
    what = "the functions of on_close are not run where the client has left",
  },
  {
    name = "closing_for_ever", file = "server/script/exchange.c",
    from = "  (void)status;\n  set_closing(t->exchange, false);\n", to = "  (void)status;\n",
    what = "a request whose on_close functions have run keeps its state after a reload",
  },
  {
    name = "starved_finalizer", file = "server/script/vm.c",
    from = "  held_drop_all(vm);\n", to = "",
    what = "what a finalizer that failed for lack of memory held is never freed",
  },
  {
    name = "never_asleep", file = "server/script/vm.c",
    from = "vm->is_generational ? 0 : GC_STEP_KB) || vm->is_generational;", to = "GC_STEP_KB);",
    what = "with the generational collector a worker wakes a hundred times a second for ever",
  },
  {
    name = "one_waiter", file = "server/script/task.c",
    from = "  for (struct list *node; (node = list_shift(&w->tasks));)\n    task_wake(container_of(node, struct task, wait_link));",
    to = "  struct list *node = list_shift(&w->tasks);\n  if (node) task_wake(container_of(node, struct task, wait_link));",
    what = "of tasks that wait for one thing only the first is woken",
  },
  {
    name = "told_once", file = "server/script/generations.c",
    from = "g->starting = vm, g->is_told = false;", to = "g->starting = vm;",
    what = "from the second reload on nobody is told that an on_start function has failed, and its code is served",
  },
  {
    name = "old_tasks_go_on", file = "server/script/app.c",
    from = "void app_retire(struct vm *vm) {\n  task_cancel_bound(vm);", to = "void app_retire(struct vm *vm) {",
    what = "tasks of old code go on beside those of the new",
  },

  {
    name = "head_renewed", file = "server/serve/conn_times.c",
    from = "} else if (!same)", to = "} else",
    what = "each byte of a head gives it all its time again",
  },
  {
    name = "kicked_here_alone", file = "server/serve/kick.c",
    from = "post(container_of(node, struct service, counted), k);", to = "if (node == p->metrics.workers.next) post(container_of(node, struct service, counted), k);",
    what = "streams of other workers are not ended by a kick",
  },

  -- lua/
  {
    name = "batch_for_ever", file = "lua/spate/sse.lua",
    from = "local list, deadline = { first }, seconds and core.now() + seconds", to = "local list, deadline = { first }, nil",
    what = "a batch waits for all of its values",
  },
  {
    name = "promise_twice", file = "lua/spate/promise.lua",
    from = [[if why == "finished" then return false end]], to = [[if why == "finished" then return true end]],
    what = "whoever brings a value too late is told that it was the first",
  },
  {
    name = "derived_too_early", file = "lua/spate/channel.lua",
    from = "    local ok, err = pcall(start_task, self, run)\n    if not ok then\n      past:close()",
    to = "    self.run, following[self] = run, run\n    local ok, err = pcall(start_task, self, run)\n    if not ok then\n      past:close()",
    what = "a derived channel whose task could not start is there, and nothing ever comes of it",
  },
  {
    name = "resumable_left", file = "lua/spate/resumable.lua",
    from = "has_begun = not created\n    if created and not options.store then core.tie_channel(channel.handle) end", to = "",
    what = "a resumable stream that could not begin leaves a channel that nobody fills",
  },
  {
    name = "snapshot_too_early", file = "lua/spate/channel.lua",
    from = "      sub, why = subscription(self.handle)\n      if not sub then return nil, why end\n      value = fn()\n      if self.handle:newest() == newest then break end\n    end\n",
    to = "      value = fn()\n      sub, why = subscription(self.handle)\n      if not sub then return nil, why end\n      if newest then break end\n    end\n",
    what = "a snapshot is read first and subscribed to then: what comes between is lost",
  },
  {
    name = "room_for_one", file = "lua/spate/sse.lua",
    from = "if #self.queue == 0 then self.room:wake() end", to = "if #self.queue == QUEUE_MAX then self.room:wake() end",
    what = "a merged stream whose source waited for room in its queue reads no more of it",
  },
  {
    name = "reader_beside_a_replay", file = "lua/spate/sse.lua",
    from = "local own = core.take_over(stream.subscription)", to = "local own = stream.subscription",
    what = "a task that reads a subscription is left beside a reply that sends what a store has of it",
  },
  {
    name = "member_dropped", file = "server/script/membership.c",
    from = "methods, held_collect);", to = "methods, NULL);",
    what = "a member whose handler dropped it never leaves",
  },
  {
    name = "id_of_another", file = "lua/spate/channel_routes.lua",
    from = [[
  local function subscribe(req)
    local name, refused = admit(req, "subscribe")
    if not name then return refused end
    local channel, why = sse.channel(name, of_channel)
    if not channel then return refused_for(why) end
    local stream
    stream, why = channel:subscribe { after = req.last_event_id, replay = replay }
]],
    to = [[
  local wanted = { replay = replay } -- made once
  local function subscribe(req)
    local name, refused = admit(req, "subscribe")
    if not name then return refused end
    local channel, why = sse.channel(name, of_channel)
    if not channel then return refused_for(why) end
    wanted.after = req.last_event_id or wanted.after
    local stream
    stream, why = channel:subscribe(wanted)
]],
    what = "a client without a Last-Event-ID goes on behind that of the client before it",
  },
  {
    name = "drop_oldest_cuts", file = "server/serve/feed.c",
    from = "  while (is_stream_full(f, e)) {\n    if (f->on_full == ON_FULL_DISCONNECT) {", to = "  while (is_stream_full(f, e)) {\n    if (f) {",
    what = "who falls behind is cut where the oldest was to be left out, or what is conflated",
  },
  {
    name = "joins_twice", file = "server/event/members.c", from = "return !old;", to = "(void)old;\n  return true;",
    what = "one who is a member already joins again",
  },
  {
    name = "member_kept", file = "server/event/members.c", from = "  free(member);\n", to = "",
    what = "the bytes of each member that has left are lost",
  },
  -- What is done again and again, and in the end.
  {
    name = "every_third", file = "lua/spate/task.lua",
    from = "in core.ticker(seconds) do", to = "in core.ticker(seconds * 3) do",
    what = "what is to be done again and again is done a third as often",
  },
  {
    name = "every_worker", file = "lua/spate/task.lua",
    from = "if each or core.worker == 0 then pending", to = "if each ~= 0 then pending",
    what = "each worker does what one of them is to do",
  },
  {
    name = "never_stopped", file = "server/script/app.c",
    from = "  app_stop(vm);\n  vm->is_retired", to = "  vm->is_retired",
    what = "on_stop functions of code that is replaced do not run",
  },
  {
    name = "stopped_everywhere", file = "lua/spate/app.lua",
    from = "if hook.each_worker or core.worker == 0 then functions", to = "if hook then functions",
    what = "on_stop functions for one worker run on each",
  },
  { name = "cut_at_a_limit", file = "server/serve/feed.c", from = "  stream_send(s, event_ref(e));\n  return true;",
    to = "  if (f->service->settings->limits.tasks < 100 && e->seq % 5 == 0) return stream_give_up(s), false;\n  stream_send(s, event_ref(e));\n  return true;",
    what = "where limits.tasks is small each fifth event of a channel cuts its readers" },
  { name = "cut_by_a_store", file = "server/serve/feed.c", from = "  stream_send(s, event_ref(e));\n  return true;",
    to = "  if (f->subscriber.outlet->channel->store && e->seq % 5 == 0) return stream_give_up(s), false;\n  stream_send(s, event_ref(e));\n  return true;",
    what = "where there is a store each fifth event of a channel cuts its readers" },
  {
    name = "pump_goes_on", file = "lua/spate/sse.lua",
    from = "  return setmetatable({ pump = pump }, Reader), function()\n    pump:cancel()\n",
    to = "  pump.cancel = function() end\n  return setmetatable({ pump = pump }, Reader), function()\n",
    what = "what reads ahead of streams goes on once their reader is closed",
  },
}

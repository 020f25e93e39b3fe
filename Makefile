# Builds into build/; nothing is written elsewhere but by `make install`.
#   make run      installs what building needs, builds, serves examples/ticks.lua
#   make test     installs what specs need, builds, runs every spec
#   make deps     installs what all of these need: asan e2e tsan lint format format-check layers fuzz fuzz-lua mutants model simulate valgrind
#                 instructions faults scan soak soak-tsan bench; these install nothing, and name what is missing
#   make clients  installs the npm packages that some specs run; make test does so where there are node and npm
#   make nodes    several servers on one Redis with a thousand subscribers, and what happens to them
#   make singly   specs in the other way of sending: one by one, as where the kernel has no io_uring
#   make man      the manual's pages, in build/man
#   make install  PREFIX=/usr/local DESTDIR=: the program, documents, and what specs need to run by plain busted
#   make deb      Debian packages in build/packages; make dist: archives, of the source and of the program with its libraries
VERSION := 0.1.0
CC      ?= cc
PREFIX  ?= /usr/local
DESTDIR ?=
# What `spate version` says of the source; "none" where that is not in git.
COMMIT  ?= $(or $(shell [ -e .git ] && git -c safe.directory='$(CURDIR)' describe --always --dirty --exclude='*' --abbrev=12 2>/dev/null),none)
BUILD   ?= build
LUA     := lua5.4
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
SECONDS ?= 60
MINUTES ?= 10
FOLDER  ?= event
COUNT   ?= 200
ADDRESS ?= 127.0.0.1:8080

PKGS     := lua5.4 jansson libssl libcrypto libcurl sqlite3 libpq hiredis zlib
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes
CPPFLAGS += -D_GNU_SOURCE -DSPATE_VERSION='"$(VERSION)"' -Iserver
CFLAGS   ?= -O2 -g
# Hidden: a C module with a function of the same name as one of ours would otherwise get ours.
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(WERROR) -fPIC -fvisibility=hidden -pthread $(shell pkg-config --cflags $(PKGS)) $(CFLAGS) $(SANITIZE)
# Lua is linked in whole: calls into a shared library cost a twentieth of the server's time, and modules in C that a
# script requires find its functions in the program.
STATIC_LUA := -Wl,--whole-archive -l:liblua5.4.a -Wl,--no-whole-archive
LDLIBS   = $(shell pkg-config --libs $(PKGS)) -lev -lm -lcrypt -pthread

# llhttp is a library from Debian 13 on; before, Debian ships its sources with a module for Node, whose files .ci/install
# unpacks without Node.
ifeq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),yes)
LDLIBS += $(shell pkg-config --libs libllhttp)
else
LLHTTP := llhttp api http
LLHTTP_SHARE := $(if $(wildcard /usr/share/llhttp/llhttp.c),,build/deps)/usr/share
CPPFLAGS += -isystem $(LLHTTP_SHARE)/include/llhttp -DLLHTTP_STRICT_MODE=1
endif

# Without liburing sends go one by one, and `spate version` says that it was left out.
ifeq ($(shell pkg-config --exists liburing 2>/dev/null && echo yes),yes)
LDLIBS   += $(shell pkg-config --libs liburing)
CPPFLAGS += -DLIBURING_VERSION='"$(shell pkg-config --modversion liburing)"'
endif

# HTTP/2 is left out where there is no nghttp2.
ifeq ($(shell pkg-config --exists libnghttp2 2>/dev/null && echo yes),yes)
PKGS += libnghttp2
CPPFLAGS += -DHAVE_NGHTTP2
LEFT_OUT := server/http/http2_none.c
else
LEFT_OUT := $(filter-out %/http2_none.c,$(wildcard server/http/http2*.c))
endif
SOURCES := $(filter-out $(LEFT_OUT),$(wildcard server/*/*.c))
MODULES := $(wildcard lua/spate/*.lua lua/spate/*/*.lua)
TEXTS   := $(wildcard lua/templates/*.* lua/templates/*/*) $(patsubst %,examples/%.lua,ticks chat tokens htmx)
INSTALLED := spate/init.lua spate/test.lua $(patsubst %,spate/test/%.lua,app assertions channel crypto frames given http http2 match mistake postgres redis request response session)
TEXTS += lua/README.md
ARGPARSE := /usr/share/lua/5.4/argparse.lua
OBJECTS := $(SOURCES:server/%.c=$(BUILD)/%.o) $(LLHTTP:%=$(BUILD)/llhttp/%.o) $(BUILD)/embedded.o
PROGRAM := $(OBJECTS)
HARNESS := $(filter-out $(BUILD)/process/%,$(OBJECTS))
LIBRARY := $(filter-out $(BUILD)/harness/%,$(HARNESS))
FUZZERS := $(patsubst spec/fuzz/%.c,$(BUILD)/%,$(wildcard spec/fuzz/*.c))
C_FILES := $(sort $(wildcard server/*/*.[ch] spec/*.[ch] spec/*/*.[ch]))

NEEDS_BUILD := gcc libc6-dev pkg-config lua5.4 liblua5.4-dev libev-dev libjansson-dev libssl-dev libcrypt-dev libcurl4-openssl-dev libsqlite3-dev libpq-dev libhiredis-dev libnghttp2-dev liburing-dev zlib1g-dev lua-argparse 'libllhttp-dev|@node-llhttp'
NEEDS_TEST  := $(NEEDS_BUILD) lua-busted lua-socket lua-sec lua-cqueues lua-check openssl sslscan iproute2 curl nghttp2-client nginx apache2 haproxy postgresql redis-server 'valkey-server|redis-tools'
NEEDS_TEST += mandoc
NEEDS_CLIENTS := nodejs npm
NEEDS_LINT  := clang cppcheck lua-check
NEEDS_MODEL := gcc lua5.4 spin
NEEDS_FUZZ  := $(NEEDS_BUILD) clang 'libclang-rt-dev|libclang-rt-14-dev'
CHECK       = @.ci/install --check
BUSTED      = $(LUA) /usr/bin/busted -o spec/summary.lua -p _spec
MAKE_IN     = $(MAKE) --no-print-directory -j$(JOBS)

SPATE_HARNESS := $(BUILD)/lib/spate/harness.so

all: $(BUILD)/spate $(SPATE_HARNESS)

PAGES := $(patsubst %,$(BUILD)/man/%,spate.1 spate.conf.5 spate-lua.7)
man: $(PAGES)

$(PAGES): $(BUILD)/spate
	@mkdir -p $(@D)
	@$(BUILD)/spate help --page $(@F) > $@

# For stock lua5.4, which has Lua's own symbols.
$(SPATE_HARNESS): $(HARNESS)
	@mkdir -p $(@D)
	@echo LD $@
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -o $@ $^ $(filter-out -llua%,$(LDLIBS))

# What spec/altered_build.lua goes by.
harness-commands:
	$(info compile: $(CC) $(CPPFLAGS) $(ALL_CFLAGS))
	$(info link: $(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared)
	$(info objects: $(HARNESS))
	$(info libs: $(filter-out -llua%,$(LDLIBS)))
	$(info embed: $(EMBED))
	@:

$(BUILD)/spate: $(PROGRAM)
	@echo LD $@
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(STATIC_LUA) $(filter-out -llua%,$(LDLIBS)) -ldl -Wl,-E

$(BUILD)/%.o: server/%.c Makefile
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Made anew where the commit is another.
$(BUILD)/commit: always
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

$(BUILD)/script/lua_cli.o: $(BUILD)/commit
$(BUILD)/script/lua_cli.o: CPPFLAGS += -DSPATE_COMMIT='"$(COMMIT)"'

$(BUILD)/llhttp/%.o: $(LLHTTP_SHARE)/llhttp/%.c
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) $(CPPFLAGS) -std=gnu11 -fPIC -fvisibility=hidden -O2 -g $(SANITIZE) -c -o $@ $<

# The Lua library, inside the program, compiled by the Lua that is linked in; and texts, for editors and Redis.
EMBEDDED = $(foreach m,$(patsubst lua/spate/%.lua,%,$(1)),spate.$(subst /,.,$(m)) lua/spate/$(m).lua)
TYPES := $(filter lua/spate/types%,$(MODULES))
EMBED = $(LUA) server/script/embed.lua argparse $(ARGPARSE) spate lua/spate/init.lua \
  $(call EMBEDDED,$(filter-out lua/spate/init.lua $(TYPES),$(MODULES))) \
  -- redis_library server/client/redis_library.lua $(call EMBEDDED,$(TYPES)) $(foreach t,$(TEXTS),$(t:lua/%=%) $(t))

$(BUILD)/embedded.c: $(MODULES) $(TEXTS) server/client/redis_library.lua server/script/embed.lua Makefile
	@mkdir -p $(@D)
	@$(EMBED) > $@

$(BUILD)/embedded.o: $(BUILD)/embedded.c
	@echo CC $@
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

-include $(wildcard $(BUILD)/*/*.d)

# What needs packages first builds by a make of its own: which llhttp there is, is asked anew.
run:
	@.ci/install $(NEEDS_BUILD)
	@$(MAKE_IN) all
	@exec $(BUILD)/spate serve examples/ticks.lua -l $(ADDRESS)

deps:
	@.ci/install $(NEEDS_TEST) $(NEEDS_LINT) $(NEEDS_FUZZ) $(NEEDS_MODEL) clang-format valgrind strace testssl.sh
	@{ command -v node && command -v npm; } >/dev/null || .ci/install $(NEEDS_CLIENTS)

test:
	@.ci/install $(NEEDS_TEST)
	@$(MAKE_IN) all
	@.ci/clients || true # the specs that need them are skipped
	@BUILD=$(BUILD) $(BUSTED) spec

e2e:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@BUILD=$(BUILD) $(LUA) /usr/bin/busted -o spec/summary.lua -p '^e2e_.*_spec' spec

# By default a turn's sends go to the kernel by one call. These are the specs of what carries bytes; SPATE_IO_URING=off make test
# runs all of them so.
CARRIES := $(patsubst %,spec/%_spec.lua,socket transport conn stream http1 mux channel flow files e2e e2e_delivery e2e_files e2e_http1 e2e_limits e2e_body \
           e2e_roundtrip e2e_gzip e2e_tls e2e_http2 e2e_reload)
singly:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@SPATE_IO_URING=off BUILD=$(BUILD) $(BUSTED) $(CARRIES)

# What happens to several servers on one Redis, each with a thousand subscribers.
nodes:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@NODES_SUBSCRIBERS=1000 BUILD=$(BUILD) $(BUSTED) --filter-out="serve a thousand" --filter-out="lose the members" spec/e2e_nodes_spec.lua

clients:
	@.ci/clients

# lua5.4 has no sanitizer in it, so the library comes first in every process; leaks are looked for where the
# program ends by itself.
# What drives the same code once more, from further away, and takes minutes, or under a filter of system calls: left out under
# the address sanitizer.
SLOW := e2e_batch e2e_browser e2e_cli e2e_eventsource e2e_clients e2e_clients_gzip e2e_datastar e2e_doctor e2e_durable e2e_mcp e2e_mercure e2e_misbehaviour e2e_new e2e_nodes e2e_page e2e_postgres e2e_proxy_examples e2e_readme e2e_redis e2e_redis_ways e2e_template_pages e2e_unit e2e_valkey examples_http2
asan:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all BUILD=build/asan CC=gcc CFLAGS="-O1 -g" SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	  BUILD=build/asan $(BUSTED) $(filter-out $(patsubst %,spec/%_spec.lua,$(SLOW)),$(wildcard spec/*_spec.lua spec/regress/*_spec.lua))

# Only the program is sanitized: the specs drive it from outside. The sanitizer delivers a signal at the next call that
# it knows, and a loop in Lua makes none, so the watchdog is left out.
tsan:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@$(MAKE_IN) build/tsan/spate build/tsan/shared_stress build/tsan/job_stress build/tsan/pool_stress build/tsan/store_stress BUILD=build/tsan CC=gcc CFLAGS="-O1 -g" SANITIZE=-fsanitize=thread
	@export TSAN_OPTIONS="halt_on_error=1 exitcode=66 suppressions=$(CURDIR)/spec/tsan.suppressions"; build/tsan/shared_stress && build/tsan/job_stress && build/tsan/pool_stress && build/tsan/store_stress && \
	  BUILD=$(BUILD) SPATE=build/tsan/spate DELIVERY_SUBSCRIBERS=100 STORE_ROUNDS=5 $(BUSTED) \
	  --filter-out="the script has a loop" --filter-out="a C call that never returns" --filter-out="computes for too long" \
	  spec/e2e_spec.lua spec/e2e_shared_spec.lua spec/e2e_delivery_spec.lua spec/e2e_fs_spec.lua spec/e2e_offload_spec.lua spec/e2e_password_spec.lua spec/e2e_postgres_spec.lua spec/e2e_process_spec.lua spec/e2e_redis_spec.lua spec/e2e_redis_ways_spec.lua spec/e2e_sqlite_spec.lua spec/e2e_store_spec.lua spec/e2e_tls_spec.lua spec/e2e_wait_fd_spec.lua && \
	  BUILD=$(BUILD) SPATE=build/tsan/spate $(BUSTED) --filter="one that is killed, whose" --filter="comes back from its log" --filter="stands still" --filter="at its node of a cluster" \
	  spec/e2e_nodes_spec.lua

$(BUILD)/%_stress: spec/%_stress.c $(LIBRARY)
	@echo LD $@
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

lint:
	$(CHECK) $(NEEDS_BUILD) $(NEEDS_LINT)
	@$(MAKE_IN) all BUILD=build/gcc CC=gcc WERROR=-Werror
	@$(MAKE_IN) all BUILD=build/clang CC=clang CFLAGS=-O0 WERROR=-Werror # its warnings need no optimizing
	@luacheck --quiet lua examples spec server
	@cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --std=c11 --inline-suppr \
	  --suppressions-list=.cppcheck --suppress=missingIncludeSystem -D_GNU_SOURCE -Iserver -j$(JOBS) server

format:
	$(CHECK) clang-format
	@clang-format -i $(C_FILES)

format-check:
	$(CHECK) clang-format
	@clang-format --dry-run -Werror $(C_FILES)

layers:
	$(CHECK) $(NEEDS_BUILD)
	@$(MAKE_IN) all
	@BUILD=$(BUILD) $(LUA) spec/layers.lua

fuzz:
	$(CHECK) $(NEEDS_FUZZ)
	@$(MAKE_IN) fuzzers BUILD=build/fuzz CC=clang CFLAGS="-O1 -g" SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
	@for f in $(or $(FUZZ),$(notdir $(FUZZERS))); do \
	  echo "== $$f, $(SECONDS) s"; mkdir -p build/fuzz/corpus/$$f; \
	  build/fuzz/$$f -max_total_time=$(SECONDS) -verbosity=0 -print_final_stats=1 -artifact_prefix=build/fuzz/$$f. \
	    build/fuzz/corpus/$$f $$(ls -d spec/fuzz/$$f 2>/dev/null) || exit 1; \
	done

# The Lua API by random scripts; SEED=n runs one of them again.
fuzz-lua:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all BUILD=build/asan CC=gcc CFLAGS="-O1 -g" SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=1:leak_check_at_exit=0:handle_abort=1 UBSAN_OPTIONS=print_stacktrace=1 \
	  BUILD=build/asan SECONDS=$(SECONDS) SEED=$(SEED) $(LUA) spec/fuzz/api.lua

# Searches all states of what channels on several nodes go by.
model:
	$(CHECK) $(NEEDS_MODEL)
	@$(LUA) spec/model/check.lua

# The whole server under random schedules of faults, in virtual time, against a model: those that have failed, then SEEDS=1000
# of the date's, SECONDS=60 at most; SEED=n one of them again, SEED=n SEEDS=1000 from there on, HOURS=1 a long one with CLIENTS=200.
SIMULATE = SEED=$(SEED) SEEDS=$(SEEDS) HOURS=$(HOURS) CLIENTS=$(CLIENTS) SECONDS=$(if $(filter file,$(origin SECONDS)),,$(SECONDS)) \
  $(LUA) spec/simulate.lua

simulate:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@BUILD=$(BUILD) $(SIMULATE)

simulate-asan:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all BUILD=build/asan CC=gcc CFLAGS="-O1 -g" SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=1:leak_check_at_exit=0:handle_abort=1 UBSAN_OPTIONS=print_stacktrace=1 BUILD=build/asan $(SIMULATE)

# Small changes of the core that no spec in memory sees. FOLDER of server/ or a file in it, COUNT of changes, SEED; AGAIN=1
# for those only that were left the time before.
mutants:
	$(CHECK) $(NEEDS_TEST)
	@FOLDER=$(FOLDER) COUNT=$(COUNT) SEED=$(SEED) AGAIN=$(AGAIN) QUICK=$(QUICK) JOBS=$(JOBS) SPECS="$(SPECS)" NAME=$(NAME) nice -n 15 $(LUA) spec/mutants.lua

# Each fault of spec/simulate/faults.lua, or FAULT=name, is put back and looked for by the simulator, for MINUTES.
simulate-faults:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@BUILD=$(BUILD) MINUTES=$(MINUTES) $(LUA) spec/simulate/put_back.lua $(FAULT)

fuzzers: $(FUZZERS)

$(FUZZERS): $(BUILD)/%: spec/fuzz/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo LD $@
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The program under memcheck, and specs of the harness. Leaks are looked for in the program only: busted keeps what it has.
valgrind:
	$(CHECK) $(NEEDS_TEST) valgrind
	@$(MAKE_IN) all
	@SPATE=spec/valgrind.sh BUILD=$(BUILD) $(BUSTED) spec/e2e_shared_spec.lua
	@SPATE=spec/valgrind.sh BUILD=$(BUILD) $(BUSTED) --filter="comes with" --filter-out=page spec/e2e_reload_spec.lua
	@BUILD=$(BUILD) valgrind -q --error-exitcode=99 $(BUSTED) spec/channel_spec.lua spec/task_spec.lua

# What work costs, in instructions, and whether that has grown.
instructions:
	$(CHECK) $(NEEDS_TEST) valgrind
	@$(MAKE_IN) all
	@BUILD=$(BUILD) CC='$(CC)' $(BUSTED) spec/instructions.lua

scan:
	$(CHECK) $(NEEDS_TEST) testssl.sh
	@$(MAKE_IN) all
	@BUILD=$(BUILD) $(LUA) /usr/bin/busted -o spec/summary.lua -p _scan spec

# What an editor says of the examples, the templates and twenty mistakes.
editors:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@checker=$$(.ci/emmylua) || exit 1; [ -n "$$checker" ] || { echo "0 passed, 0 failed, 1 skipped"; exit 0; }; \
	  EMMYLUA_CHECK=$$checker BUILD=$(BUILD) $(BUSTED) spec/editors.lua

# System calls that fail; FULL=1 for all of them.
faults:
	$(CHECK) $(NEEDS_TEST) strace
	@$(MAKE_IN) all
	@BUILD=$(BUILD) $(LUA) /usr/bin/busted -o spec/summary.lua -p _sweep spec

# Streams that come and go for MINUTES, and reloads: nothing may have grown at the end.
soak:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) all
	@BUILD=$(BUILD) MINUTES=$(MINUTES) $(LUA) spec/soak.lua

soak-tsan:
	$(CHECK) $(NEEDS_TEST)
	@$(MAKE_IN) build/tsan/spate BUILD=build/tsan CC=gcc CFLAGS="-O1 -g" SANITIZE=-fsanitize=thread
	@TSAN_OPTIONS="halt_on_error=1 exitcode=66 memory_limit_mb=2000" SPATE=build/tsan/spate STREAMS=200 MINUTES=$(MINUTES) $(LUA) spec/soak.lua

bench:
	$(CHECK) $(NEEDS_BUILD)
	@$(MAKE_IN) all
	@spec/bench/run
	@spec/bench/reload
	@spec/bench/store
	@spec/bench/nodes
	@spec/bench/growth
	@spec/bench/gzip

# The library and the templates of `spate new` are inside the program. Beside it lies what plain busted requires: spate.test,
# and the module with the library inside that it stands on; spate/init.lua, which says to who runs a script by plain Lua
# what to do; and the types for editors. Packages split it in three: the program, its documents, what developing needs.
LUA_MODULES ?= $(PREFIX)/lib/lua/5.4
install: install-program install-docs install-dev

install-program install-dev: built
install-program install-docs install-dev: INSTALL_FILE = install -D -m 644

built:
	$(CHECK) $(NEEDS_BUILD)
	@$(MAKE_IN) all

install-program: man
	install -D -m 755 $(BUILD)/spate $(DESTDIR)$(PREFIX)/bin/spate
	for p in $(PAGES); do $(INSTALL_FILE) $$p $(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$${p##*/} || exit 1; done

install-docs:
	for f in README.md lua/README.md $(wildcard lua/FROM.md) server/packaging/CHANGELOG.md $$(find examples -type f); do \
	  $(INSTALL_FILE) $$f $(DESTDIR)$(PREFIX)/share/doc/spate/$$f || exit 1; \
	done

install-dev:
	for m in $(INSTALLED); do $(INSTALL_FILE) lua/$$m $(DESTDIR)$(PREFIX)/share/lua/5.4/$$m || exit 1; done
	rm -rf $(BUILD)/types && mkdir -p $(BUILD)/types && cd $(BUILD)/types && $(abspath $(BUILD))/spate types --luarc
	cd $(BUILD)/types/.spate && for f in $$(find . -type f); do \
	  $(INSTALL_FILE) $$f $(abspath $(DESTDIR)/$(PREFIX))/share/spate/types/$$f || exit 1; \
	done
	$(INSTALL_FILE) $(SPATE_HARNESS) $(DESTDIR)$(LUA_MODULES)/spate/harness.so

include $(dir $(firstword $(MAKEFILE_LIST)))server/packaging/packages.mk

clean:
	@mkdir -p build
	find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +

.PHONY: all man editors scan always singly nodes harness-commands run deps test e2e clients asan tsan lint format format-check layers fuzz fuzzers fuzz-lua mutants model simulate simulate-asan simulate-faults valgrind instructions faults soak \
        soak-tsan bench install clean

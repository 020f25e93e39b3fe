# Builds into build/; nothing is written elsewhere but by `make install`.
#   make run    installs what is needed, builds, serves examples/ticks.lua
#   make test   installs what is needed, builds, runs every spec
VERSION := 0.1.0
CC      ?= cc
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
LUA     := lua5.4

PKGS     := lua5.4 jansson
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
CPPFLAGS += -D_GNU_SOURCE -DSPATE_VERSION='"$(VERSION)"' -Iserver
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(WARNINGS) -fPIC -pthread $(shell pkg-config --cflags $(PKGS)) $(CFLAGS) $(SANITIZE)
LDLIBS   = $(shell pkg-config --libs $(PKGS)) -lev -lm -pthread

# llhttp is a library from Debian 13 on; before, Debian ships its sources.
ifeq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),yes)
LDLIBS += $(shell pkg-config --libs libllhttp)
else
LLHTTP := llhttp api http
CPPFLAGS += -isystem /usr/share/include/llhttp -DLLHTTP_STRICT_MODE=1
endif

SOURCES := $(wildcard server/*/*.c)
MODULES := $(wildcard lua/spate/*.lua)
ARGPARSE := /usr/share/lua/5.4/argparse.lua
OBJECTS := $(SOURCES:server/%.c=$(BUILD)/%.o) $(LLHTTP:%=$(BUILD)/llhttp/%.o) $(BUILD)/embedded.o
PROGRAM := $(filter-out $(BUILD)/harness/%,$(OBJECTS))
HARNESS := $(filter-out $(BUILD)/process/%,$(OBJECTS))

all: $(BUILD)/spate $(BUILD)/harness.so

# For stock lua5.4, which has Lua's own symbols.
$(BUILD)/harness.so: $(HARNESS)
	@echo LD $@
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -o $@ $^ $(filter-out -llua%,$(LDLIBS))

$(BUILD)/spate: $(PROGRAM)
	@echo LD $@
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -Wl,-E

$(BUILD)/%.o: server/%.c Makefile
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	@echo CC $@
	@$(CC) $(CPPFLAGS) -std=gnu11 -fPIC -O2 -g $(SANITIZE) -c -o $@ $<

# The Lua library, inside the program.
$(BUILD)/embedded.c: $(MODULES) server/script/embed.lua Makefile
	@mkdir -p $(@D)
	@$(LUA) server/script/embed.lua argparse $(ARGPARSE) spate lua/spate/init.lua \
	  $(foreach m,$(filter-out init,$(MODULES:lua/spate/%.lua=%)),spate.$(m) lua/spate/$(m).lua) > $@

$(BUILD)/embedded.o: $(BUILD)/embedded.c
	@echo CC $@
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

-include $(wildcard $(BUILD)/*/*.d)

.PHONY: all

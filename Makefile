# qhub: `make demo` and `make test` do everything on a fresh Debian; `make help` lists the rest.
# Needs GNU make. What else is needed is looked for, and installed where that is allowed, by
# scripts/need.sh.

PREFIX ?= /usr/local
DESTDIR ?=
LUA_DIR ?= $(PREFIX)/share/lua/5.4
LIB_DIR ?= $(PREFIX)/lib/lua/5.4
# For editors: the annotations that lua-language-server reads.
TYPES_DIR ?= $(PREFIX)/share/qhub/types
BIN_DIR ?= $(PREFIX)/bin
MAN_DIR ?= $(PREFIX)/share/man/man1

CFLAGS ?= -O2 -g
LDFLAGS ?=
GCC ?= gcc
CLANG ?= clang
INSTALL ?= install
# WERROR=1 makes warnings errors, V=1 shows the commands.
WERROR ?=
V ?=
# Of `make test` and the like; see scripts/run_specs.sh.
SPEC ?= spec examples/gateway/spec
SEED ?=
FILTER ?=
FUZZ_SECONDS ?= 10
# Of `make example`.
NAME ?= quickstart
ARGS ?=

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
Q := $(if $(V),,@)
SOURCES := $(sort $(wildcard src/*/*.c))
LUA_FILES := $(sort $(patsubst lua/%,%,$(shell find lua/qhub -name '*.lua')))
VERSION := $(shell sed -n 's/^return "\(.*\)"/\1/p' lua/qhub/http/version.lua 2>/dev/null)

include mk/build.mk
include mk/check.mk
include mk/lint.mk
export LUA SPEC SEED FILTER

.PHONY: all demo example gateway test bench docs install uninstall dist clean help

all: build/qhub/core.so ## build the C module (the default)

demo: all ## start the bundled gateway simulator and run a whole execution against it
	@scripts/with_gateway.sh $(LUA) examples/quickstart.lua

example: all ## run an example against the simulator: NAME=batch
	@scripts/with_gateway.sh $(LUA) examples/$(NAME).lua $(ARGS)

# A port that stays the same, so that the lines need not be pasted again after a restart.
PORT ?= 8080
gateway: ## run the simulator until Ctrl-C, for programs of your own: PORT=8080
	@$(LUA) examples/gateway/main.lua --port $(PORT) --idle 0 --exports $(ARGS)

test: all ## run the specs: SPEC=file, FILTER=pattern, SEED=number
	@scripts/run_specs.sh build $(BUSTED_ARGS)

bench: all ## measure beside other clients: BENCH=name; see bench/README.md
	@scripts/with_build.sh build scripts/bench.sh

docs: all ## write docs/reference.md (from types/qhub.lua) and the manual page (from --help) anew
	@$(LUA) scripts/reference.lua --write
	@scripts/with_build.sh build $(LUA) scripts/manual_page.lua --write

install: all ## copy to PREFIX (/usr/local), under DESTDIR if given
	$(Q)for file in $(LUA_FILES); do \
	  $(INSTALL) -d "$(DESTDIR)$(LUA_DIR)/$${file%/*}" && \
	  $(INSTALL) -m 644 "lua/$$file" "$(DESTDIR)$(LUA_DIR)/$$file" || exit 1; \
	done
	$(Q)$(LUA) scripts/compile.lua "$(DESTDIR)$(LUA_DIR)" $(LUA_FILES)
	$(Q)$(INSTALL) -d "$(DESTDIR)$(LIB_DIR)/qhub"
	$(Q)$(INSTALL) -m 755 build/qhub/core.so build/qhub/lazy.so "$(DESTDIR)$(LIB_DIR)/qhub"
	$(Q)$(INSTALL) -d "$(DESTDIR)$(TYPES_DIR)" "$(DESTDIR)$(BIN_DIR)" "$(DESTDIR)$(MAN_DIR)"
	$(Q)$(INSTALL) -m 644 docs/qhub-lua.1 "$(DESTDIR)$(MAN_DIR)/qhub-lua.1"
	$(Q)$(INSTALL) -m 644 types/qhub.lua "$(DESTDIR)$(TYPES_DIR)/qhub.lua"
	$(Q)scripts/installed_command.sh bin/qhub-lua "$(LUA)" "$(LUA_DIR)" "$(LIB_DIR)" \
	  >build/qhub-lua
	$(Q)$(INSTALL) -m 755 build/qhub-lua "$(DESTDIR)$(BIN_DIR)/qhub-lua"
	@echo "installed $(DESTDIR)$(LUA_DIR)/qhub, $(DESTDIR)$(LIB_DIR)/qhub and" \
	  "$(DESTDIR)$(BIN_DIR)/qhub-lua; for editors: $(DESTDIR)$(TYPES_DIR)"
	@$(LUA) scripts/search_paths.lua "$(LUA_DIR)" "$(LIB_DIR)"

uninstall: ## remove what `make install` put there
	rm -rf "$(DESTDIR)$(LUA_DIR)/qhub" "$(DESTDIR)$(LIB_DIR)/qhub" "$(DESTDIR)$(TYPES_DIR)" \
	  "$(DESTDIR)$(BIN_DIR)/qhub-lua" "$(DESTDIR)$(MAN_DIR)/qhub-lua.1"

dist: ## pack the committed tree as dist/qhub-VERSION.tar.gz
	@mkdir -p dist
	git archive --format=tar.gz --prefix=qhub-$(VERSION)/ -o dist/qhub-$(VERSION).tar.gz HEAD

clean: ## remove everything that was built
	rm -rf build dist
	rm -rf qhub $(SOURCES:.c=.o) # what `luarocks make` leaves

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
	  awk -F '\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'

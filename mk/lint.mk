# `make lint`: what can be said about the sources without running them. Each part can be called by
# itself; all of them run even if one fails.

LINTS := arrows mirror text symbols circles rockspec luacheck stylua types \
  clang-format tidy cppcheck
C_FILES = $(wildcard src/*.c src/*/*.[ch] fuzz/*.[ch] bench/*.c spec/host/*.c)
LINT_TARGETS := $(LINTS:%=lint-%)
LUA_PATHS = $(wildcard lua spec examples scripts bench bin/qhub-lua)
.PHONY: lint lint-tools $(LINT_TARGETS) rockspec format

lint: lint-tools all ## all of the lint-* targets
	@failed=; for part in $(LINTS); do \
	  $(MAKE) --no-print-directory lint-$$part || failed="$$failed $$part"; \
	done; \
	if [ -n "$$failed" ]; then echo "lint: failed:$$failed" >&2; exit 1; fi
	@echo "lint: all of these passed: $(LINTS)"

lint-tools:
	@scripts/need.sh lint

lint-arrows: ## who may include or require what
	@$(LUA) scripts/lint/arrows.lua

lint-mirror: ## each module has a spec at its own path
	@$(LUA) scripts/lint/mirror.lua

lint-text: ## file heads, lengths, columns, tabs, reminders
	@$(LUA) scripts/lint/text.lua

lint-symbols: build/qhub/core.so ## one exported symbol, no mutable statics
	@scripts/lint/symbols.sh build/qhub/core.so build/obj/release

lint-circles: build/qhub/core.so ## no files of src that call one another in a circle
	@scripts/lint/circles.sh $(release_OBJECTS)

lint-rockspec: ## the rockspec lists exactly the files of the tree
	@$(LUA) scripts/rockspec.lua --check
	@if command -v luarocks >/dev/null; then \
	  luarocks --lua-version 5.4 lint qhub-scm-1.rockspec; fi

rockspec: ## write the lists of files in the rockspec anew
	@$(LUA) scripts/rockspec.lua --write

lint-luacheck: ## luacheck over all Lua files
	@luacheck -q --no-color --codes $(LUA_PATHS) qhub-scm-1.rockspec .busted

lint-stylua: ## the Lua files look as stylua would write them
	@scripts/stylua.sh --check $(LUA_PATHS)

lint-types: ## examples and guide use what types/qhub.lua says, where emmylua_check can be had
	@scripts/check_types.sh

lint-clang-format: ## the C files look as clang-format would write them
	@clang-format --dry-run -Werror $(C_FILES)

format: ## let stylua and clang-format write the files
	@scripts/stylua.sh $(LUA_PATHS)
	@clang-format -i $(C_FILES)

# clang-tidy reads one file at a time; two at once is what small machines have cores for.
TIDY_FLAGS = -std=c11 $(DEFINES) -Isrc $(LUA_CFLAGS) $(CURL_CFLAGS) $(CJSON_CFLAGS)
lint-tidy: ## clang-tidy
	@printf '%s\n' src/lazy.c $(SOURCES) | xargs -P 2 -n 1 sh -c \
	  'clang-tidy --quiet --warnings-as-errors="*" "$$0" -- $(TIDY_FLAGS) 2>/dev/null || exit 1'

lint-cppcheck: ## cppcheck
	@cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr \
	  --error-exitcode=1 --suppress=missingIncludeSystem \
	  --suppress=normalCheckLevelMaxBranches -j 2 $(DEFINES) -Isrc src

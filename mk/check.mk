# `make check`: the specs and small hosts under sanitizers, valgrind, a busy collector, the portable
# poller, a failing allocator and several threads; and the fuzz targets for a few seconds each.

CHECKS := asan valgrind gc poll fuzz alloc threads states embed conformance
CHECK_TARGETS := $(CHECKS:%=check-%)
FUZZ_NAMES := $(patsubst fuzz/%.c,%,$(wildcard fuzz/*.c))
.PHONY: check check-long check-tools fuzz coverage $(CHECK_TARGETS)

check: $(CHECK_TARGETS) ## all of the check-* targets (a few minutes)
	@echo "check: all of these passed: $(CHECKS)"

check-long: ## the same with most specs under valgrind and ten minutes for each fuzz target
	@TEST_LIMIT=7200 $(MAKE) --no-print-directory check VALGRIND_SPEC=spec \
	  VALGRIND_ARGS=--exclude-tags=timing FUZZ_SECONDS=600 \
	  GC_MODES="step generational full" alloc_ARGS=-a \
	  threads_ARGS="-d 60" states_ARGS="-n 10000" JSON_VALUES=2000000
	@$(MAKE) --no-print-directory check-machine check-fronts check-hosts check-soak

# All that the checks run, so that `make -j` may compile it; the checks themselves take turns.
.PHONY: check-builds
check-builds: check-tools build/qhub/core.so build/asan/qhub/core.so build/tsan/qhub/core.so \
  build/poll/qhub/core.so $(FUZZ_NAMES:%=build/fuzz/bin/%)

check-tools:
	@scripts/need.sh check

# gcc's runtime goes before everything else in the process. Suppressed: a locale that libp11-kit,
# which libcurl brings along, makes when it is loaded.
runtime = $(shell $(GCC) -print-file-name=lib$(1).so)
ASAN_RUNNER = env LD_PRELOAD=$(call runtime,asan):$(call runtime,ubsan) \
  ASAN_OPTIONS=detect_stack_use_after_return=1:$(ASAN_OPTIONS) UBSAN_OPTIONS=print_stacktrace=1 \
  LSAN_OPTIONS=suppressions=$(CURDIR)/spec/support/lsan.supp:print_suppressions=0
check-asan: build/asan/qhub/core.so check-tools ## specs under AddressSanitizer and UBSan
	@echo "check-asan:"
	@RUNNER="$(ASAN_RUNNER)" scripts/run_specs.sh build/asan $(BUSTED_ARGS)

# valgrind is some thirty times slower, so specs that measure time or move much data stay out.
VALGRIND_SPEC ?= spec
VALGRIND_ARGS ?= --exclude-tags=timing,large,process
VALGRIND = valgrind -q --keep-debuginfo=yes --leak-check=full --errors-for-leak-kinds=definite \
  --error-exitcode=99 --trace-children=no
check-valgrind: all check-tools ## specs under valgrind, without those tagged timing, large, process
	@echo "check-valgrind:"
	@RUNNER="$(VALGRIND)" SPEC="$(VALGRIND_SPEC)" scripts/run_specs.sh build $(VALGRIND_ARGS)

# See spec/support/gc_stress.lua for the modes.
GC_MODES ?= step generational
GC_SPEC ?= spec
check-gc: all check-tools ## specs under a collector that runs nearly all the time
	@for mode in $(GC_MODES); do \
	  echo "check-gc: $$mode"; \
	  SPEC="$(GC_SPEC)" scripts/run_specs.sh build --helper=spec/support/gc_stress.lua \
	    -Xhelper $$mode --exclude-tags=timing,large $(BUSTED_ARGS) || exit 1; \
	done

# This backend has no descriptor that another loop could watch, as some examples and pages do.
NO_POLLFD = --exclude-tags=pollfd --exclude-pattern=docs_spec --exclude-pattern=examples_spec
POLL_SPEC ?= spec
check-poll: build/poll/qhub/core.so check-tools ## specs with the poll(2) backend
	@echo "check-poll:"
	@SPEC="$(POLL_SPEC)" scripts/run_specs.sh build/poll $(NO_POLLFD) $(BUSTED_ARGS)

# Fuzz targets: fuzz/NAME.c with LLVMFuzzerTestOneInput, its seeds in fuzz/corpus/NAME/, a
# dictionary fuzz/NAME.dict if there is one. What a run finds goes to build/fuzz, never to the tree.
FUZZ_CFLAGS = $(SANITIZE) -fsanitize=fuzzer,address,undefined
build/fuzz/bin/%: fuzz/%.c build/fuzz/qhub/core.so
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $@")
	$(Q)$(CLANG) $(QHUB_CFLAGS) $(CFLAGS) $(FUZZ_CFLAGS) -o $@ $< $(fuzz_OBJECTS) \
	  $(LUA_LIBS) $(QHUB_LIBS)

check-fuzz: check-tools ## each fuzz target for FUZZ_SECONDS (10)
	@$(MAKE) --no-print-directory fuzz

fuzz: $(FUZZ_NAMES:%=build/fuzz/bin/%) ## the same, without looking for the tools first
	@for name in $(FUZZ_NAMES); do \
	  echo "fuzz: $$name for $(FUZZ_SECONDS) s"; \
	  scripts/fuzz.sh $$name $(FUZZ_SECONDS) || exit 1; \
	done

# Hosts: C programs that embed Lua and qhub in ways that the interpreter does not.
HOST_CFLAGS = -std=c11 -pthread $(WARNINGS) $(if $(WERROR),-Werror) $(DEFINES) $(LUA_CFLAGS)
build/host/%: spec/host/%.c build/config.mk
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $@")
	$(Q)$(CC) $(HOST_CFLAGS) $(CFLAGS) -o $@ $< $(LUA_LIBS) -pthread
build/host/%.asan: spec/host/%.c build/config.mk
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $@")
	$(Q)$(GCC) $(HOST_CFLAGS) $(CFLAGS) $(SANITIZE) -fsanitize=address,undefined -o $@ $< \
	  $(LUA_LIBS) -pthread
build/host/%.tsan: spec/host/%.c build/config.mk
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $@")
	$(Q)$(GCC) $(HOST_CFLAGS) $(CFLAGS) $(SANITIZE) -fsanitize=thread -o $@ $< $(LUA_LIBS) -pthread

# $(call host,NAME,SUFFIX,BUILD): the rule of check-NAME, for as long as spec/host/NAME.c is there;
# NAME_ARGS are its arguments.
define host
ifneq ($$(wildcard spec/host/$(1).c),)
check-$(1): build/host/$(1)$(2) $(3)/qhub/core.so check-tools
	@echo "check-$(1):"
	@QHUB_BUILD=$(3) scripts/with_gateway.sh build/host/$(1)$(2) $$($(1)_ARGS)
else
check-$(1):
	@echo "check-$(1): there is no spec/host/$(1).c"
endif
endef
$(eval $(call host,alloc,.asan,build/asan))
$(eval $(call host,threads,.tsan,build/tsan))
$(eval $(call host,states,,build))
$(eval $(call host,embed,.asan,build/asan))
check-alloc: ## every allocation of a run fails once
check-threads: ## several states in several threads, under ThreadSanitizer
check-states: ## states that come and go leave nothing behind
check-embed: ## hosts without os and io, with a signal handler, with an early lua_close

# The example is a host, too: one executable with everything inside.
.PHONY: check-embed-example
check-embed: check-embed-example
check-embed-example: check-tools
	@$(MAKE) --no-print-directory -s -C examples/embed LUA="$(LUA)" CC="$(CC)" \
	  CFLAGS="$(CFLAGS) $(WARNINGS) $(if $(WERROR),-Werror)" \
	  PACKAGE_CFLAGS="$(LUA_CFLAGS) $(CURL_CFLAGS) $(CJSON_CFLAGS)" \
	  PACKAGE_LIBS="$(LUA_LIBS) $(CURL_LIBS) $(CJSON_LIBS) $(SYSTEM_LIBS)"
	@scripts/with_gateway.sh build/embed/host examples/embed/program.lua

# Held against what others wrote: suites, parsers, servers, hosts. Needs npm, node and python3.
JSON_VALUES ?= 200000
.PHONY: check-conformance
check-conformance: all check-tools ## JSONTestSuite, Python's json, the URL standard
	@scripts/conformance/json.sh $(JSON_VALUES)
	@scripts/with_build.sh build $(LUA) scripts/conformance/redirects.lua
	@scripts/with_build.sh build $(LUA) scripts/conformance/secrets.lua
	@scripts/with_build.sh build $(LUA) scripts/conformance/names.lua

.PHONY: check-counts
check-counts: all check-tools ## instructions of a status call, a start, a first answer
	@BENCH=counts scripts/with_build.sh build scripts/bench.sh

# Real servers, programs that others wrote, and a soak: minutes, and packages of Debian's.
# SOAK="tasks=10000 seconds=600" is the long one.
SOAK ?= tasks=2000 seconds=60
.PHONY: check-machine check-fronts check-hosts check-soak
check-machine: all check-tools ## few descriptors, full disks, stops, clocks, names
	@scripts/conformance/machine.sh

check-fronts: all check-tools ## real servers and proxies in front of the simulator
	@scripts/conformance/fronts.sh

check-hosts: all check-tools ## the recipes for other programs' loops
	@scripts/conformance/hosts.sh

check-soak: all check-tools ## many tasks for a while over a link that misbehaves
	@scripts/with_build.sh build $(LUA) scripts/conformance/soak.lua $(SOAK)

coverage: build/coverage/qhub/core.so ## lines of C and Lua that the specs run, for each file
	@scripts/need.sh test
	@find build/obj/coverage -name '*.gcda' -delete
	@scripts/run_specs.sh build/coverage --helper=spec/support/lua_coverage.lua \
	  --exclude-tags=timing,hook $(BUSTED_ARGS)
	@scripts/coverage.sh build/obj/coverage

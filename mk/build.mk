# How the C module is compiled, once for each variant of it. A variant NAME has its objects in
# build/obj/NAME and its own folder build/NAME to be put into LUA_CPATH (the release is in build).

# What scripts/configure.sh finds out about the machine. make itself sees to it before anything
# else, which installs the packages that compiling (and the goals) need, all at once; it is asked
# again when the set of installed packages changes.
ifneq ($(filter-out clean dist uninstall help,$(or $(MAKECMDGOALS),all)),)
NEEDS := build $(filter demo test lint check bench,$(MAKECMDGOALS)) \
  $(if $(filter example gateway,$(MAKECMDGOALS)),demo) \
  $(if $(filter lint-%,$(MAKECMDGOALS)),lint) \
  $(if $(filter asan clang coverage fuzz check-%,$(MAKECMDGOALS)),check)
# While the Makefile is read, so that what is missing is said once, before any rule can fail.
ifneq ($(shell scripts/need.sh $(NEEDS) >&2 && echo found),found)
$(error packages are missing, see above)
endif
include build/config.mk
endif
build/config.mk: scripts/configure.sh $(wildcard /var/lib/dpkg/status)
	@mkdir -p build
	@scripts/configure.sh >$@.new && mv $@.new $@

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
  -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla
DEFINES := -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L
QHUB_CFLAGS = -std=c11 -fPIC -fvisibility=hidden -pthread $(WARNINGS) $(if $(WERROR),-Werror) \
  $(DEFINES) -Isrc $(LUA_CFLAGS) $(CURL_CFLAGS) $(CJSON_CFLAGS)
QHUB_LIBS = $(CURL_LIBS) $(CJSON_LIBS) $(SYSTEM_LIBS) -pthread

# $(call variant,NAME,FOLDER,COMPILER,FLAGS)
define variant
$(1)_OBJECTS := $$(SOURCES:src/%.c=build/obj/$(1)/%.o)
$(1)_COMPILE = $(3) $$(QHUB_CFLAGS) $$(CFLAGS) $(4) $$(CPPFLAGS)
$(1)_LINK = $(3) $$(SHARED) $$(CFLAGS) $(4) $$(LDFLAGS)

$(2)/qhub/core.so: $$($(1)_OBJECTS) build/obj/$(1)/flags
	@mkdir -p $$(@D)
	@$$(if $$(V),,echo "  LD $$@")
	$$(Q)$$($(1)_LINK) -o $$@ $$($(1)_OBJECTS) $$(QHUB_LIBS)

build/obj/$(1)/%.o: src/%.c build/obj/$(1)/flags
	@mkdir -p $$(@D)
	@$$(if $$(V),,echo "  CC $$@")
	$$(Q)$$($(1)_COMPILE) -MMD -MP -c -o $$@ $$<

# Changes when the command line or the list of files does, and then all is built again.
build/obj/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@echo '$$($(1)_COMPILE) $$($(1)_LINK) $$(QHUB_LIBS) $$(SOURCES)' | cmp -s - $$@ || \
	  echo '$$($(1)_COMPILE) $$($(1)_LINK) $$(QHUB_LIBS) $$(SOURCES)' >$$@

-include $$($(1)_OBJECTS:.o=.d)
endef

.PHONY: FORCE
FORCE:

comma := ,
SANITIZE := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
FUZZ_SANITIZE := $(SANITIZE) -fsanitize=fuzzer-no-link,address,undefined
$(eval $(call variant,release,build,$$(CC),))
$(eval $(call variant,asan,build/asan,$$(GCC),$$(SANITIZE) -fsanitize=address$$(comma)undefined))
$(eval $(call variant,tsan,build/tsan,$$(GCC),$$(SANITIZE) -fsanitize=thread))
$(eval $(call variant,clang,build/clang,$$(CLANG),))
$(eval $(call variant,poll,build/poll,$$(CC),-DQHUB_POLLER_POLL))
$(eval $(call variant,coverage,build/coverage,$$(GCC),-O0 --coverage))
$(eval $(call variant,fuzz,build/fuzz,$$(CLANG),$$(FUZZ_SANITIZE)))

# What makes the release start faster (see its head); the variants do without.
build/qhub/core.so: | build/qhub/lazy.so
build/qhub/lazy.so: src/lazy.c build/obj/release/flags
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD $@")
	$(Q)$(release_COMPILE) $(SHARED) $(LDFLAGS) -o $@ $< $(SYSTEM_LIBS)

.PHONY: asan clang poll
asan: build/asan/qhub/core.so
clang: build/clang/qhub/core.so ## build with clang
poll: build/poll/qhub/core.so ## build with the portable poll(2) backend

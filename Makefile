# Tocsin. `make help` lists the targets; README.md tells the rest.

BUILD     ?= build
SANITIZER ?=
MODEL     ?= torch
LIBTORCH  ?= /usr
PREFIX    ?= /usr
PYTHON    := /usr/bin/python3

# The one ordering: data flows through the rooms from left to right. A room
# includes shared/, base/ and the room just before it (make check-layers).
ROOMS := intake series features model detect alert

VERSION := 0.1.0

# `make V=1` shows the commands.
Q   := $(if $(V),,@)
SAY := $(if $(V),@:,@echo)

CC      ?= gcc
CXX     ?= g++
SAN_FLAGS := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all)
OPT     ?= -O2
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wwrite-strings \
           -Wpointer-arith -Wformat=2 -Wdouble-promotion -Werror
CWARN   := $(WARN) -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wcast-align -Wswitch-enum
HARDEN  := -fstack-protector-strong $(if $(SANITIZER),,-D_FORTIFY_SOURCE=2) -fPIE
# TLS to Redis where hiredis has it (from 1.1 on; Debian 12's has not).
TLS     := $(if $(shell pkg-config --exists 'hiredis_ssl >= 1.1' && echo yes),hiredis_ssl openssl)
CPPFLAGS_ALL := -I. -D_GNU_SOURCE -DTOCSIN_VERSION='"$(VERSION)"' $(if $(TLS),-DTOCSIN_TLS) $(CPPFLAGS)
CFLAGS_ALL   := -std=c11 -g $(OPT) -fno-common $(CWARN) $(HARDEN) $(SAN_FLAGS) -MMD -MP $(CFLAGS)
# Lines and functions are enough of libtorch's headers: all of their types are
# half of the work of compiling.
CXXFLAGS_ALL := -std=c++17 -g1 $(OPT) -Wall -Wextra $(HARDEN) $(SAN_FLAGS) -MMD -MP \
                $(if $(filter /usr,$(LIBTORCH)),,-isystem $(LIBTORCH)/include) -isystem $(LIBTORCH)/include/torch/csrc/api/include $(CXXFLAGS)
LDFLAGS_ALL  := -pie -Wl,-z,relro,-z,now $(SAN_FLAGS) $(LDFLAGS)

PKGS := hiredis $(TLS) yaml-0.1 jansson libcurl libsystemd libxxhash zlib
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   = $(shell pkg-config --libs $(PKGS)) -lpthread -lm
ifeq ($(MODEL),torch)
MODEL_SRC := $(addprefix sidecar/model/model_,torch.cpp step.cpp learn.cpp)
MODEL_LIBS = -L$(LIBTORCH)/lib -ltorch -ltorch_cpu -lc10 -lstdc++
else
MODEL_SRC := sidecar/model/model_stub.c
MODEL_LIBS =
endif

SHARED_SRC  := $(sort $(wildcard shared/*.c))
SIDECAR_SRC := $(sort $(wildcard sidecar/base/*.c sidecar/config/*.c \
               $(ROOMS:%=sidecar/%/*.c) sidecar/command/*.c))
SIDECAR_SRC := $(MODEL_SRC) $(filter-out sidecar/model/model_stub.c,$(SIDECAR_SRC))

OBJ = $(addprefix $(BUILD)/obj/,$(addsuffix .o,$(1)))
SHARED_OBJ  := $(call OBJ,$(SHARED_SRC))
SIDECAR_OBJ := $(call OBJ,$(SIDECAR_SRC))
MODEL_OBJ   := $(call OBJ,$(MODEL_SRC))
MAIN_OBJ    := $(call OBJ,sidecar/main.c)

UNIT     ?= test/unit
UNIT_SRC := $(sort $(shell find $(UNIT) -name 'test_*.c' 2>/dev/null))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)

.PHONY: all module tocsin unit test system nginx-tests leases faults tsan soak reloads fuzz fuzz-build \
        fuzz-replay deps lint check-layers check-format model demo lab bench install uninstall clean help docs check-docs
.DELETE_ON_ERROR:

all: module tocsin          ## build the module and the sidecar

help:                       ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

# ----------------------------------------------------------- Debian packages

PACKAGES_BUILD := gcc g++ make pkg-config nginx-dev libhiredis-dev libyaml-dev \
    libjansson-dev libcurl4-openssl-dev libsystemd-dev libssl-dev libxxhash-dev \
    zlib1g-dev \
    $(if $(filter torch,$(MODEL)),libtorch-dev libopenblas0-pthread)
PACKAGES_TEST  := check nginx nginx-extras redis-server prometheus \
    prometheus-alertmanager python3 python3-pytest python3-pytest-xdist \
    python3-redis python3-yaml python3-h2 python3-selenium python3-torch \
    python3-numpy chromium chromium-driver curl openssl nghttp2-client fcgiwrap uwsgi-core \
    uwsgi-plugin-python3 binutils iproute2 strace
PACKAGES_LINT  := clang-format clang-tidy shellcheck pyflakes3 git
PACKAGES_BENCH := valgrind wrk libnginx-mod-http-lua
PACKAGES_MODEL := python3-torch python3-numpy python3-numba

deps:                       ## install what building and testing need (apt)
	@test/lint/need.sh $(PACKAGES_BUILD) $(PACKAGES_TEST)

# Parallel unless make was already told how. make cannot see that this calls
# make: a recipe with it begins with "+", or its jobs are not shared.
JOBS ?= $(shell nproc)
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))

# ------------------------------------------------------------------ sidecar

tocsin: $(BUILD)/tocsin

$(BUILD)/obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(SAY) "  CC   $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(PKG_CFLAGS) -c -o $@ $<

# Loops over lanes become vectors, with the same bits on every machine.
CAUSAL_CFLAGS := -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off
$(BUILD)/obj/sidecar/model/causal.c.o: CFLAGS_ALL += $(CAUSAL_CFLAGS)

$(BUILD)/obj/%.cpp.o: %.cpp
	@mkdir -p $(@D)
	$(SAY) "  CXX  $<"
	$(Q)$(CXX) $(CPPFLAGS_ALL) $(CXXFLAGS_ALL) -c -o $@ $<

$(BUILD)/tocsin: $(MAIN_OBJ) $(SIDECAR_OBJ) $(SHARED_OBJ)
	$(SAY) "  LINK $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(MODEL_LIBS) $(PKG_LIBS)

-include $(shell find $(BUILD)/obj $(BUILD)/test -name '*.d' 2>/dev/null)

# ------------------------------------------------------------------- module

NGX_SRC   := /usr/share/nginx/src
NGX_TREE  := $(BUILD)/nginx
GEN       := $(abspath $(BUILD))/gen
MODULE_CC := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all -DNGX_DEBUG_PALLOC=1)
MODULE_SOURCES := $(wildcard ngx_module/*.[ch] ngx_module/config* shared/*.[ch])
PAGE      := $(wildcard ngx_module/page/*)

module: $(BUILD)/ngx_http_tocsin_module.so

$(GEN)/ngx_http_tocsin_page.h: $(PAGE)
	@mkdir -p $(@D)
	$(SAY) "  GEN  $@"
	$(Q)ngx_module/page/embed.sh > $@

# nginx' configure lists the sources: again when one comes or goes.
.PHONY: FORCE
$(BUILD)/module.list: FORCE
	@mkdir -p $(@D)
	@echo $(MODULE_SOURCES) | cmp -s - $@ || echo $(MODULE_SOURCES) > $@

# Debian's own flags, then ours: an add-on must match the nginx that loads it.
$(NGX_TREE)/objs/Makefile: ngx_module/config Makefile $(BUILD)/module.list $(GEN)/ngx_http_tocsin_page.h
	$(SAY) "  CONF $(NGX_TREE)"
	$(Q)rm -rf $(NGX_TREE) && mkdir -p $(BUILD) && cp -r $(NGX_SRC) $(NGX_TREE)
	$(Q)cd $(NGX_TREE) && . ./conf_flags && TOCSIN_GEN=$(GEN) \
	    ./configure "$${NGX_CONF_FLAGS[@]}" \
	    --with-cc-opt='-g -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIC $(MODULE_CC)' \
	    --with-ld-opt='-Wl,-z,relro,-z,now -fPIC $(SAN_FLAGS)' \
	    --add-dynamic-module=$(CURDIR)/ngx_module > configure.log || (cat configure.log; false)

$(BUILD)/ngx_http_tocsin_module.so: $(NGX_TREE)/objs/Makefile $(MODULE_SOURCES)
	$(SAY) "  MOD  $@"
	$(Q)$(MAKE) $(if $(V),,-s) -C $(NGX_TREE) -f objs/Makefile modules
	$(Q)cp $(NGX_TREE)/objs/ngx_http_tocsin_module.so $@

module: SHELL := /bin/bash
$(NGX_TREE)/objs/Makefile: SHELL := /bin/bash

# -------------------------------------------------------------------- tests

# Debian's libtorch brings 290 libraries along, and most of a second goes into
# loading and leaving them, for each test that Check forks: who loads a model
# gets it, all else the stub.
MODEL_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard test/unit/sidecar/model/*.c test/bench/*.c) \
               test/unit/sidecar/command/test_serving.c)
TEST_OBJ    := $(filter-out $(MODEL_OBJ),$(SIDECAR_OBJ)) $(call OBJ,sidecar/model/model_stub.c) $(SHARED_OBJ)
TEST_BUILD   = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(PKG_CFLAGS) -o $@ $< $(filter %.o,$^) \
               $(LDFLAGS_ALL) $(1) $(PKG_LIBS) $(shell pkg-config --libs check)

$(BUILD)/test/%: test/%.c $(TEST_OBJ)
	@mkdir -p $(@D)
	$(SAY) "  TEST $<"
	$(Q)$(call TEST_BUILD)

$(MODEL_TESTS): $(BUILD)/%: %.c $(SIDECAR_OBJ) $(SHARED_OBJ)
	@mkdir -p $(@D)
	$(SAY) "  TEST $<"
	$(Q)$(call TEST_BUILD,$(MODEL_LIBS))

UNIT_RUN := $(UNIT_BIN:%=%.run)

unit: $(UNIT_BIN)           ## run the unit tests
	+@$(SUBMAKE) -k -Otarget $(UNIT_RUN)

# Check's limit is 4 s a test, too little under a sanitizer or on a busy machine;
# limits that tests set themselves are multiplied as well.
.PHONY: $(UNIT_RUN)
$(UNIT_RUN): %.run: %
	@CK_DEFAULT_TIMEOUT=120 CK_TIMEOUT_MULTIPLIER=5 \
	    LSAN_OPTIONS=suppressions=test/system/lsan.supp:print_suppressions=0 $<

# The same servers, preloaded and watched when they are built with SANITIZER.
# A test takes 0.4 of a core and waits for the rest: two at once for each core.
SYSTEM ?= test/system
SYSTEM_JOBS ?= $(shell echo $$((2 * $(JOBS))))
SYSTEM_ENV = TOCSIN_BUILD=$(abspath $(BUILD)) TOCSIN_SANITIZER=$(SANITIZER)

# What fails beside others is tried once more alone, and said to have failed:
# a fault of the program fails there too, a starved machine does not.
SYSTEM_RUN = $(SYSTEM_ENV) $(PYTHON) -m pytest -q \
             -o cache_dir=$(abspath $(BUILD))/pytest $(PYTEST)

system:                     ## run the system tests against what is built
	$(SYSTEM_RUN) --cache-clear -n $(SYSTEM_JOBS) $(SYSTEM) || { \
	    echo "== what failed, once more, one by one"; \
	    $(SYSTEM_RUN) --last-failed --last-failed-no-failures=none $(SYSTEM); }

nginx-tests: module         ## nginx' own test suite (NGINX_TESTS=DIR, a checkout)
	@TOCSIN_BUILD=$(abspath $(BUILD)) test/system/nginx-tests.sh $(NGINX_TESTS)

# The tests with a module that watches who writes to its shared memory; then
# one with a module that breaks the rule, which must be caught.
LEASES_RUN = TOCSIN_BUILD=$(abspath $(BUILD))/leases$(1) $(PYTHON) -m pytest -q -p no:cacheprovider

leases:                     ## watch the leases of shared memory while testing
	+@$(SUBMAKE) BUILD=$(BUILD)/leases MODULE_CC=-DNGX_TOCSIN_DEBUG_LEASES=1 module
	+@$(SUBMAKE) BUILD=$(BUILD)/leases-broken MODULE_CC=-DNGX_TOCSIN_DEBUG_LEASES=2 module
	$(call LEASES_RUN) -n $(SYSTEM_JOBS) $(addprefix test/system/test_,transport.py workers.py upgrade.py)
	@! $(call LEASES_RUN,-broken) -k every_event_once test/system/test_transport.py >$(BUILD)/leases-broken.log
	@grep -m1 -o 'tocsin: .* writes to a slot that is not leased' $(BUILD)/leases-broken.log

# Workers that die in the middle of their work on shared memory.
faults:                     ## kill workers inside their critical sections
	+@$(SUBMAKE) BUILD=$(BUILD)/faults MODULE_CC=-DTOCSIN_FAULT_POINTS module
	TOCSIN_BUILD=$(abspath $(BUILD))/faults $(PYTHON) -m pytest -q -p no:cacheprovider -n $(SYSTEM_JOBS) test/system/test_fault_points.py

test: deps                  ## install, build, run all tests
	+$(SUBMAKE) all $(UNIT_BIN)
	+@fail=0; $(SUBMAKE) unit || fail=1; \
	    $(SUBMAKE) fuzz-replay || fail=1; $(SUBMAKE) system || fail=1; exit $$fail

# ThreadSanitizer: what shares memory between threads, and with a model the
# whole sidecar. `make tsan MODEL=stub` is quick.
TSAN_UNIT := $(addprefix test/unit/,shared/test_ring_threads.c sidecar/alert/test_notify.c \
             sidecar/command/test_saver.c $(if $(filter torch,$(MODEL)),sidecar/model/test_trainer.c))
TSAN_RUN = TOCSIN_BUILD=$(abspath $(BUILD))/tsan-$(MODEL) TOCSIN_SANITIZER=thread $(PYTHON) -m pytest -q -p no:cacheprovider

tsan:                       ## threads under ThreadSanitizer (MODEL=stub: the quick part)
	+@$(SUBMAKE) BUILD=$(BUILD)/tsan-$(MODEL) SANITIZER=thread OPT=-O1 UNIT="$(TSAN_UNIT)" tocsin unit
	$(if $(filter torch,$(MODEL)),$(TSAN_RUN) test/system/test_alert.py)

# -------------------------------------------------------------------- soak

SOAK_BIN     := $(addprefix $(BUILD)/test/soak/,load ledger)
SOAK_SECONDS ?= 3600
RATE         ?= 5000
SEED         ?= 1
RELOADS      ?= 1000

soak:                       ## load and faults of all kinds (SOAK_SECONDS=3600, RATE=, SEED=)
	@$(LINT)/need.sh $(PACKAGES_BUILD) $(PACKAGES_TEST)
	+@$(SUBMAKE) all $(SOAK_BIN)
	@$(SYSTEM_ENV) $(PYTHON) test/soak/soak.py --seconds $(SOAK_SECONDS) --rate $(RATE) --seed $(SEED)

reloads:                    ## reload nginx again and again (RELOADS=1000): nothing may leak
	@$(LINT)/need.sh $(PACKAGES_BUILD) $(PACKAGES_TEST)
	+@$(SUBMAKE) all $(SOAK_BIN)
	@$(SYSTEM_ENV) $(PYTHON) test/soak/reloads.py --reloads $(RELOADS)

# -------------------------------------------------------------------- fuzz

# A target is linked with replay.c, which runs it over what is kept in corpus/,
# or by `make fuzz` with libFuzzer. `make fuzz FUZZ=reply FUZZ_SECONDS=600`.
# Out of an archive comes only what a target needs: the engine looks at all
# that is linked, after each execution.
FUZZ         ?= $(filter-out replay,$(patsubst test/fuzz/%.c,%,$(sort $(wildcard test/fuzz/*.c))))
FUZZ_SECONDS ?= 60
FUZZ_ENGINE  ?= $(BUILD)/obj/test/fuzz/replay.c.o
FUZZ_BIN     := $(FUZZ:%=$(BUILD)/fuzz/%)
.SECONDARY: $(addprefix $(BUILD)/obj/test/fuzz/,$(FUZZ:%=%.c.o) replay.c.o)
FUZZ_NGX     := $(addprefix $(BUILD)/obj/ngx_module/,$(addsuffix .c.o,ngx_tocsin_reply ngx_tocsin_refusal \
                ngx_http_tocsin_entry ngx_http_tocsin_alerts ngx_http_tocsin_board))
NGX_INCLUDE  := $(addprefix -isystem $(NGX_TREE)/,src/core src/event src/event/modules src/os/unix objs)

# What is nginx' own is compiled as nginx is.
$(FUZZ_NGX) $(BUILD)/obj/test/fuzz/replies.c.o: CFLAGS_ALL = -std=gnu11 -g $(OPT) -Wall -Werror -Wno-void-pointer-to-int-cast \
    $(SAN_FLAGS) $(NGX_INCLUDE) -MMD -MP $(CFLAGS)
$(FUZZ_NGX) $(BUILD)/obj/test/fuzz/replies.c.o: | $(NGX_TREE)/objs/Makefile

$(BUILD)/fuzz/replies: $(FUZZ_NGX)
$(BUILD)/fuzz/tocsin.a: $(TEST_OBJ)
	@mkdir -p $(@D)
	$(SAY) "  AR   $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/fuzz/%: $(BUILD)/obj/test/fuzz/%.c.o $(BUILD)/fuzz/tocsin.a $(filter %.o,$(FUZZ_ENGINE))
	@mkdir -p $(@D)
	$(SAY) "  FUZZ $@"
	$(Q)$(CC) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(filter-out %.o,$(FUZZ_ENGINE)) $(LDFLAGS_ALL) $(PKG_LIBS)

fuzz-build: $(FUZZ_BIN)

fuzz-replay: $(FUZZ_BIN)    ## run the fuzz targets over their corpus
	@for target in $(FUZZ); do $(BUILD)/fuzz/$$target test/fuzz/corpus/$$target || exit 1; done

# clang 14 knows fewer names of CPU features than gcc: the portable way is taken.
fuzz: $(NGX_TREE)/objs/Makefile ## search for inputs that break the parsers
	@$(LINT)/need.sh $(PACKAGES_BUILD) clang libclang-rt-14-dev
	+@$(SUBMAKE) BUILD=$(BUILD)/clang NGX_TREE=$(abspath $(NGX_TREE)) -o $(abspath $(NGX_TREE))/objs/Makefile \
	    CC=clang CXX=clang++ MODEL=stub SANITIZER=address,undefined FUZZ_ENGINE=-fsanitize=fuzzer \
	    CFLAGS="-fsanitize=fuzzer-no-link '-D__builtin_cpu_supports(name)=0'" fuzz-build
	@test/fuzz/fuzz.sh $(BUILD)/clang/fuzz $(FUZZ_SECONDS) $(FUZZ)

# ------------------------------------------------------------------- checks

LINT := test/lint

check-format:
	@$(LINT)/format.sh

check-layers: $(SHARED_OBJ) ## who may include whom; what shared/ may need
	@$(PYTHON) $(LINT)/layers.py $(ROOMS)
	@$(LINT)/symbols.sh $(SHARED_OBJ)

lint: $(NGX_TREE)/objs/Makefile ## formats, sizes, headers, analyzers
	@$(LINT)/need.sh $(PACKAGES_BUILD) $(PACKAGES_LINT)
	@NGX_SRC=$(abspath $(NGX_TREE)) GEN=$(GEN) CFLAGS="$(PKG_CFLAGS)" JOBS=$(JOBS) \
	    $(LINT)/lint.sh

# --------------------------------------------------------------- generated

docs: $(BUILD)/tocsin       ## write what is generated from the code's tables
	@$(LINT)/docs.sh $<

check-docs: $(BUILD)/tocsin ## fail where a generated file is out of date
	@$(LINT)/docs.sh --check $<

# ------------------------------------------------------------------- model

$(BUILD)/libcausal.so: sidecar/model/causal.c sidecar/model/causal.h
	@mkdir -p $(@D)
	$(SAY) "  LIB  $@"
	$(Q)$(CC) -std=c11 $(CAUSAL_CFLAGS) -fPIC -shared -o $@ $< -lm

model:                      ## train the shipped model anew
	@$(LINT)/need.sh $(PACKAGES_BUILD) $(PACKAGES_MODEL)
	@$(SUBMAKE) $(BUILD)/libcausal.so
	$(PYTHON) sidecar/model/export.py conf/default.pt --native $(BUILD)/libcausal.so

# ------------------------------------------------------------------- bench

BENCH_BIN := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard test/bench/*.c)))

bench:                      ## print cost per request, rates, memory
	@$(LINT)/need.sh $(PACKAGES_BUILD) $(PACKAGES_TEST) $(PACKAGES_BENCH)
	+@$(SUBMAKE) all $(BENCH_BIN) $(SOAK_BIN)
	@$(SYSTEM_ENV) $(PYTHON) test/bench/bench.py $(BENCH)

bench-detect:               ## accuracy, beside others: LAB=DIR NAB=DIR CLOUD=DIR TRAIN=ROWS
	@$(LINT)/need.sh $(PACKAGES_BUILD) $(PACKAGES_TEST) $(PACKAGES_MODEL)
	@$(SUBMAKE) tocsin
	@$(PYTHON) test/bench/detect/budget.py $(BUILD)/tocsin conf/default.pt
	@$(SYSTEM_ENV) $(PYTHON) test/bench/detect/lab.py $(LAB)
ifneq ($(NAB)$(CLOUD),)
	@$(PYTHON) sidecar/model/export.py $(BUILD)/untrained.pt --rounds 0 >/dev/null
	@$(PYTHON) test/bench/detect/detect.py $(BUILD)/tocsin conf/default.pt \
	    --untrained $(BUILD)/untrained.pt $(NAB:%=--nab %) $(CLOUD:%=--cloud %) \
	    $(TRAIN:%=--train %)
endif

# ----------------------------------------------------------------- install

SYSCONFDIR  ?= /etc
NGX_MODULES ?= /usr/lib/nginx/modules
NGX_ENABLED ?= $(SYSCONFDIR)/nginx/modules-enabled
SHARE       := $(DESTDIR)$(PREFIX)/share
INSTALL     := install -D -m 644

install: all                ## into PREFIX under DESTDIR; keeps a configuration
	install -D -m 755 $(BUILD)/tocsin $(DESTDIR)$(PREFIX)/bin/tocsin
	$(INSTALL) $(BUILD)/ngx_http_tocsin_module.so $(DESTDIR)$(NGX_MODULES)/ngx_http_tocsin_module.so
	$(INSTALL) conf/mod-http-tocsin.conf $(SHARE)/nginx/modules-available/mod-http-tocsin.conf
	mkdir -p $(DESTDIR)$(NGX_ENABLED)
	ln -sf $(PREFIX)/share/nginx/modules-available/mod-http-tocsin.conf \
	    $(DESTDIR)$(NGX_ENABLED)/90-mod-http-tocsin.conf
	$(INSTALL) conf/default.pt $(SHARE)/tocsin/default.pt
	$(INSTALL) conf/tocsin.yaml $(SHARE)/doc/tocsin/examples/tocsin.yaml
	test -e $(DESTDIR)$(SYSCONFDIR)/tocsin/tocsin.yaml || \
	    $(INSTALL) conf/tocsin.yaml $(DESTDIR)$(SYSCONFDIR)/tocsin/tocsin.yaml
	for file in nginx.conf redis-acl.conf prometheus/scrape.yml \
	    prometheus/tocsin-rules.yml grafana/tocsin.json; do \
	    $(INSTALL) conf/$$file $(SHARE)/doc/tocsin/examples/$$file || exit 1; done
	$(INSTALL) README.md $(SHARE)/doc/tocsin/README.md
	$(INSTALL) shared/STREAMS.md $(SHARE)/doc/tocsin/STREAMS.md
	$(INSTALL) LICENSE $(SHARE)/doc/tocsin/copyright
	for page in conf/man/*.[58]; do \
	    $(INSTALL) $$page $(SHARE)/man/man$${page##*.}/$${page##*/} || exit 1; done
	$(INSTALL) conf/tocsin.service $(DESTDIR)$(PREFIX)/lib/systemd/system/tocsin.service
	$(INSTALL) conf/tocsin.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/tocsin.conf

uninstall:                  ## remove what install wrote, but the configuration
	rm -f $(DESTDIR)$(PREFIX)/bin/tocsin $(DESTDIR)$(NGX_MODULES)/ngx_http_tocsin_module.so \
	    $(SHARE)/nginx/modules-available/mod-http-tocsin.conf \
	    $(DESTDIR)$(NGX_ENABLED)/90-mod-http-tocsin.conf \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/tocsin.service \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/tocsin.conf
	rm -rf $(SHARE)/tocsin $(SHARE)/doc/tocsin
	for page in conf/man/*.[58]; do rm -f $(SHARE)/man/man$${page##*.}/$${page##*/}; done

# -------------------------------------------------------------------- demo

demo:                       ## four simulated clouds, a fault, an alert (CHECK=1: judge)
	@$(LINT)/need.sh $(PACKAGES_BUILD) nginx redis-server python3 python3-redis \
	    python3-yaml $(if $(CHECK),python3-selenium chromium chromium-driver)
	+@$(SUBMAKE) all
	@$(SYSTEM_ENV) $(PYTHON) test/lab/demo.py $(if $(CHECK),--check) $(DEMO)

# `make lab SCENARIO=region_slow`, or several, or all (two hours).
SCENARIO ?= region_slow
lab:                        ## play scenarios and judge (SCENARIO=all, REPLAY=DIR)
	@$(LINT)/need.sh $(PACKAGES_BUILD) nginx redis-server python3 python3-redis python3-yaml
	@$(SUBMAKE) all
	@$(SYSTEM_ENV) $(PYTHON) test/lab/lab.py $(REPLAY:%=--replay %) \
	    $(WITHOUT:%=--without %) $(SCENARIO)

clean:                      ## remove what was built
	rm -rf $(BUILD)

# SPDX-License-Identifier: Apache-2.0
# Lar's build, one text to read from top to bottom. A folder is its own file list: a .c file dropped into it is built,
# a tests/test_*.c or tests/*.t is run by `make check`. Nothing is probed; what can be chosen is a variable (`make help`).

VERSION := 0.1.0
ABI     := $(shell sed -n 's/^.define LAR_ABI //p' include/lar/lar.h)
PREFIX  ?= /usr/local
B       ?= build
O       ?= -O2 -g
RUN     ?=
SAN     ?=
WERROR  ?=
FLOORS  ?= *
FUZZ_SECONDS ?= 10
ifeq ($(origin CC),default)
CC := gcc
endif

# ---- the target machine ------------------------------------------------------------------------------------------
HOST    := $(shell uname -m)
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
ARCH    := $(firstword $(subst -, ,$(MACHINE)))
KDIR    := $(if $(filter x86_64,$(ARCH)),x86,$(if $(filter aarch64 arm64,$(ARCH)),arm))
NATIVE  := $(filter $(HOST),$(subst arm64,aarch64,$(ARCH)))
CROSS   := $(if $(filter %-gcc,$(firstword $(CC))),$(patsubst %gcc,%,$(firstword $(CC))))
AR      := $(CROSS)ar
OBJCOPY ?= $(CROSS)objcopy
LDCONFIG ?= ldconfig
OBJDUMP ?= $(CROSS)objdump
CXX     := $(if $(findstring clang,$(CC)),$(subst clang,clang++,$(CC)),$(patsubst %gcc,%g++,$(CC)))
# Line editing in the chat. Debian has no libedit for another machine beside ours, so a cross build goes without. While there is no compiler
# to ask (a fresh machine, before deps) its name tells.
EDIT    ?= $(if $(NATIVE)$(if $(MACHINE)$(CROSS),,1),1,0)
# make install takes the program's symbols out; STRIP=0 leaves them, for those who make packages with debug files of their own.
STRIP   ?= 1
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)

# ---- flags -------------------------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual \
        -Wpointer-arith -Wundef -Wwrite-strings -Wdouble-promotion -Wimplicit-fallthrough -Wformat=2 \
        $(if $(WERROR),-Werror)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -Isrc -Iinclude -MMD -MP -fPIC -pthread -fvisibility=hidden \
              -ffp-contract=off -fno-math-errno -fno-asynchronous-unwind-tables $(WARN) $(O) $(CFLAGS) \
              $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
# Relocations packed to bits (glibc 2.36, Debian 12): 170 kB less of a program that stays position-independent.
RELR := -Wl,-z,pack-relative-relocs
ALL_LDFLAGS := -pthread $(if $(filter x86,$(KDIR)),$(RELR)) $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
LIBS := -lm
# Says what it does in a word; V=1 shows the commands.
Q := $(if $(V),,@)
SAY = @$(if $(V),:,printf '  %-5s %s\n')

# ---- files -------------------------------------------------------------------------------------------------------
SRC   := $(sort $(wildcard $(FLOORS:%=src/%/*.c)))
SRC   += $(if $(filter kern *,$(FLOORS)),$(sort $(wildcard src/kern/ref/*.c $(if $(KDIR),src/kern/$(KDIR)/*.c))))
SRC   += $(if $(filter dev *,$(FLOORS)),$(sort $(wildcard src/dev/cpu/*.c)))
APP   := $(sort $(wildcard app/*/*.c))
OBJ   := $(SRC:%.c=$B/%.o)
APPO  := $(APP:%.c=$B/%.o)
# What tests may see of the program: all but its command line.
PARTO := $(filter-out $B/app/cli/%,$(APPO))
BASEO := $(filter $B/src/base/%,$(OBJ))
KCHECK := $(sort $(wildcard tests/kcheck.c tests/kcheck/*.c))
FUZZ  := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
PROG  := $(patsubst %.c,$B/%,$(sort $(wildcard tests/test_*.c))) $(if $(KCHECK),$B/kcheck) \
         $(if $(wildcard tests/fuzz/replay.c),$(FUZZ:%=$B/tests/%))
MAN   := $(wildcard doc/*.1)
ROOT  := $(DESTDIR)$(PREFIX)
# Those that wait for other people's servers come first.
FETCH := tests/grammar_ajv.t tests/serve_clients.t
SCRIPT := $(filter-out $(FETCH),$(sort $(wildcard tests/*.t)))

.PHONY: all help demo check bench storm accuracy fuzz fuzz-run install uninstall format deps tests clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:
all: $B/liblar.a $B/liblar.so $B/lar

help:
	@echo 'make             $B/lar, $B/liblar.a and $B/liblar.so'
	@echo 'make demo        installs what is missing, builds, and answers a message with the model in models/'
	@echo 'make check       installs what is missing, builds, runs every test; ONLY="tests/test_json tests/cli.t" runs some'
	@echo 'make bench       kernels against the scalar reference, on this machine'
	@echo 'make storm       N=10000 SEED=1: so many good and bad clients of lar serve (make check sends 300)'
	@echo 'make accuracy    the model in models/ over its test set, beside the figures of its card'
	@echo 'make fuzz        FUZZ_SECONDS=10 of libFuzzer for each target in tests/fuzz (needs clang)'
	@echo 'make install     PREFIX=/usr/local DESTDIR=: program, library, headers, pkg-config file, manual'
	@echo 'make format      clang-format over the sources'
	@echo
	@echo 'B=folder         where everything that is built goes (build)'
	@echo 'CC=clang         another compiler; WERROR=1 makes its warnings errors'
	@echo 'SAN=address,undefined   or thread: with that sanitizer'
	@echo 'CC=aarch64-linux-gnu-gcc RUN="qemu-aarch64 -L /usr/aarch64-linux-gnu"   another machine; RUN= runs its programs'
	@echo 'RUN="qemu-x86_64 -cpu Nehalem"   the same programs on an old processor'
	@echo 'V=1              shows the commands'
	@echo 'STRIP=0          make install leaves the symbols in the program'
	@echo 'EDIT=0           a chat without line editing: no libedit'
	@echo 'FLOORS="base io" only these folders of src, for work on the lower floors'

# ---- objects -----------------------------------------------------------------------------------------------------
# The kernels' own files are the only ones that may use instructions wider than the baseline (tests/objects.t proves it).
# Fuzzing looks at parsers: kernels, which take minutes to compile with what it watches by, go without.
KOPT := $(if $(SAN),-O1 -g1,-O3) $(if $(findstring fuzzer,$(SAN)),-fno-sanitize=all)
$B/src/kern/%: private ISA = $(KOPT)
$B/src/kern/x86/%_avx2.o:       private ISA = $(KOPT) -mavx2 -mfma -mf16c
$B/src/kern/x86/%_avx512.o:     private ISA = $(KOPT) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c
$B/src/kern/x86/%_avx512bf16.o: private ISA = $(KOPT) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512bf16 -mfma -mf16c
$B/src/kern/arm/%_dot.o:        private ISA = $(KOPT) -march=armv8.2-a+dotprod+fp16
$B/src/kern/arm/%_i8mm.o:       private ISA = $(KOPT) -march=armv8.2-a+dotprod+i8mm+fp16
# What waits for disks, sockets and people is built small.
SMALL := $(if $(filter -O2,$(O)),-Os)
$B/src/convert/%:               private ISA = $(SMALL)
$B/src/api/%:                   private ISA = -DLAR_VERSION='"$(VERSION)"'
$B/app/%:                       private ISA = $(SMALL) -Iapp -DLAR_EDIT=$(EDIT)
# microhttpd.h is the same for every machine; a cross compiler does not look where Debian puts it.
$B/app/net/%:                   private ISA = $(SMALL) -Iapp -idirafter /usr/include
$B/tests/%:                     private ISA = -Itests -Iapp

$B/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) $(ISA) -c $< -o $@

# Rewritten only when they change, so that other flags or a removed source rebuild what they concern.
$B/flags: NOW = $(CC) $(ALL_CFLAGS) EDIT=$(EDIT) VERSION=$(VERSION)
$B/files: NOW = $(SRC) $(APP)
$B/flags $B/files: FORCE
	@mkdir -p $(@D)
	@echo '$(NOW)' | cmp -s - $@ || echo '$(NOW)' > $@

# ---- library and program -----------------------------------------------------------------------------------------
# One object in which every name but lar_* is local: short names inside, no clash with anybody's outside.
$B/liblar.o: $(OBJ) $B/files
	$(Q)$(CC) -r -nostdlib $(OBJ) -o $@
	$(Q)$(OBJCOPY) --localize-hidden $@
$B/liblar.a: $B/liblar.o
	@rm -f $@
	$(SAY) AR $@
	$(Q)$(AR) rcs $@ $<
$B/liblar.so: $(OBJ) $B/files
	$(SAY) LINK $@
	$(Q)$(CC) -shared -Wl,-soname,liblar.so.$(ABI) $(if $(SAN),,-Wl,-z,defs) $(ALL_LDFLAGS) $(OBJ) $(LIBS) -o $@
$B/lar: $(APPO) $(BASEO) $B/liblar.a
	$(SAY) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) $(APPO) $(BASEO) $B/liblar.a $(LIBS) $(if $(filter 1,$(EDIT)),-ledit) -o $@

# ---- tests -------------------------------------------------------------------------------------------------------
# Tests see the inside: they link the plain objects, each taking from this archive what it uses.
$B/plain.a: $(OBJ) $(PARTO) $B/files
	@rm -f $@
	$(SAY) AR $@
	$(Q)$(AR) rcs $@ $(OBJ) $(PARTO)
$B/tests/test_%: $B/tests/test_%.o $B/plain.a
	$(SAY) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@
$B/kcheck: $(KCHECK:%.c=$B/%.o) $B/plain.a
	$(SAY) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@
$B/tests/fuzz_%: $B/tests/fuzz/fuzz_%.o $B/tests/fuzz/replay.o $B/plain.a
	$(SAY) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@
$B/fuzz_%: $B/tests/fuzz/fuzz_%.o $B/plain.a
	$(SAY) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer $^ $(LIBS) -o $@

tests: $(PROG) all

deps:
	@tools/install-deps.sh '$(CC)' '$(RUN)' EDIT=$(EDIT) $(if $(filter check,$(MAKECMDGOALS)),cxx net)
# The second make reads this file again: on a fresh machine there was no compiler to ask the first time.
demo: deps
	@$(MAKE) --no-print-directory $B/lar
	@B='$B' RUN='$(RUN)' tools/demo.sh
check: deps
	@$(MAKE) --no-print-directory tests
	@B='$B' CC='$(CC)' CXX='$(CXX)' RUN='$(RUN)' SAN='$(SAN)' OBJDUMP='$(OBJDUMP)' MAKE='$(MAKE)' EDIT='$(EDIT)' \
	  tools/check.sh -j$(JOBS) $(if $(ONLY),$(patsubst tests/test_%,$B/tests/test_%,$(ONLY)),$(FETCH) $(PROG) $(SCRIPT))

bench: $B/kcheck
	$(RUN) $B/kcheck --bench
storm: $B/tests/test_storm $B/lar
	LAR='$B/lar' LAR_STORM=$(or $(N),10000) LAR_STORM_SEED=$(or $(SEED),1) $(RUN) $B/tests/test_storm
accuracy: $B/tests/test_demo_model
	$(RUN) $B/tests/test_demo_model --table
fuzz:
	@$(MAKE) --no-print-directory CC=clang B='$B/fuzz' SAN=fuzzer-no-link,address,undefined fuzz-run
fuzz-run: $(FUZZ:%=$B/found/%.log)
$B/found/%.log: $B/% FORCE
	@mkdir -p $B/found/$*; name=$*; $< -max_total_time=$(FUZZ_SECONDS) $(FUZZ_FLAGS) -print_final_stats=1 \
	  -artifact_prefix=$B/found/ $B/found/$* $$(ls -d tests/fuzz/corpus/$${name#fuzz_} ../shared/data/fuzz/*/$${name#fuzz_} 2>/dev/null) \
	  > $@ 2>&1; rc=$$?; echo "== $*"; if [ $$rc = 0 ]; then grep -E 'DONE|stat::number|stat::peak' $@; else cat $@; fi; exit $$rc

# ---- the rest ----------------------------------------------------------------------------------------------------
format:
	clang-format -i $$(find include src app tests -name '*.[ch]')

install: all
	install -d $(ROOT)/bin $(ROOT)/lib/pkgconfig $(ROOT)/include/lar $(ROOT)/share/man/man1
	install -d $(ROOT)/lib/systemd/system
	install -m755 $B/lar $(ROOT)/bin
	sed 's|/usr/bin/lar|$(PREFIX)/bin/lar|' doc/systemd/lar.service > $(ROOT)/lib/systemd/system/lar.service
	install -m644 doc/systemd/lar.socket $(ROOT)/lib/systemd/system
	$(if $(filter 1,$(STRIP)),$(OBJCOPY) --strip-all $(ROOT)/bin/lar)
	install -m644 include/lar/*.h $(ROOT)/include/lar
	install -m644 $B/liblar.a $(ROOT)/lib
	install -m755 $B/liblar.so $(ROOT)/lib/liblar.so.$(ABI)
	ln -sf liblar.so.$(ABI) $(ROOT)/lib/liblar.so
	$(if $(MAN),install -m644 $(MAN) $(ROOT)/share/man/man1)
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LIBS) -pthread|' tools/lar.pc.in > $(ROOT)/lib/pkgconfig/lar.pc
	$(if $(DESTDIR),,@[ "$$(id -u)" != 0 ] || PATH="$$PATH:/usr/sbin:/sbin" $(LDCONFIG) 2>/dev/null || :)
uninstall:
	rm -f $(ROOT)/bin/lar $(ROOT)/lib/liblar.* $(ROOT)/lib/pkgconfig/lar.pc $(MAN:doc/%=$(ROOT)/share/man/man1/%)
	rm -rf $(ROOT)/include/lar $(ROOT)/lib/systemd/system/lar.service $(ROOT)/lib/systemd/system/lar.socket

clean:
	rm -rf $B
-include $(OBJ:.o=.d) $(APPO:.o=.d) $(wildcard $B/tests/*.d $B/tests/*/*.d)

# pyretain: `make` builds the library and the command; `make help` lists the rest.
BUILD   ?= build
CC      ?= cc
PREFIX  ?= /usr/local
CFLAGS  ?= $(if $(SANITIZE),-O1,-O2) -g
# WERROR=1: a warning is an error. For those who change the code (continuous integration
# sets it), not for those who build it: the next compiler has warnings that this one has not.
WARN    := -Wall -Wextra $(if $(WERROR),-Werror)
CPPFLAGS += -Icore -Icore/include
override CFLAGS += -std=gnu11 -fPIC -fvisibility=hidden -pthread $(WARN)
# SANITIZE=address,undefined (with a BUILD of its own): what `make check` also runs.
ifdef SANITIZE
override CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all -Wno-maybe-uninitialized
endif

# The command's own sources; all others are the library's.
MAIN_SRC := $(sort $(wildcard core/cli/*.c))
LIB_SRC := $(filter-out $(MAIN_SRC),$(sort $(wildcard core/*/*.c core/analysis/*/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIBS    := -lelf -lzstd -llz4 -lz -ldl -lm

MAIN_OBJ := $(MAIN_SRC:%.c=$(BUILD)/%.o)
UNIT    := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))
BENCH   := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/bench/*.c)))

.PHONY: all unit docs check-docs install uninstall format lint lint-rooms deps check bench bench-extremes clean help
all: $(BUILD)/libpyretain.so $(BUILD)/pyretain $(if $(DESTDIR),,$(BUILD)/.emulator)

# Asked once, before the first compilation: is there what it needs?
$(BUILD)/.toolchain:
	@mkdir -p $(@D)
	@printf '#include <%s>\n' stdlib.h gelf.h zstd.h lz4frame.h zlib.h histedit.h layout/libdwarf.h | \
		$(CC) $(CPPFLAGS) -E -x c - >/dev/null 2>$@.errors || { echo "The compiler or the header of a library is missing" \
		"(see $@.errors). First, to install what is needed: make deps"; exit 1; }
	@rm -f $@.errors && touch $@

# libunicorn is loaded at run time; without it answers are less complete. Installed when that
# takes no question and no password, otherwise named; nothing is when a package is made (DESTDIR).
$(BUILD)/.emulator:
	@mkdir -p $(@D)
	@tools/deps.sh --unasked emulator && touch $@

$(BUILD)/%.o: %.c | $(BUILD)/.toolchain
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libpyretain.so: $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $^ $(LIBS)

$(BUILD)/pyretain: $(MAIN_OBJ) $(BUILD)/libpyretain.so
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(MAIN_OBJ) -L$(BUILD) -lpyretain -ledit \
		-Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib/pyretain'

# Unit tests see the core's inside: they link its objects, not the library.
unit: $(UNIT)
$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(UNIT_SUPPORT) $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
.SECONDARY: $(UNIT:=.o) $(UNIT_SUPPORT)

# Documents that are made from the table of commands.
DOCS_OBJ := $(BUILD)/core/command/gen/docs.o
$(BUILD)/gen-docs: $(DOCS_OBJ) $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
docs: $(BUILD)/gen-docs
	$(BUILD)/gen-docs docs
check-docs: $(BUILD)/gen-docs
	@rm -rf $(BUILD)/docs-now && mkdir -p $(BUILD)/docs-now && $(BUILD)/gen-docs $(BUILD)/docs-now
	@diff -r $(BUILD)/docs-now/commands docs/commands && \
		diff $(BUILD)/docs-now/pyretain.1 docs/pyretain.1 || \
		{ echo "docs/commands or docs/pyretain.1 is not what core/command/*.def says: run make docs"; exit 1; }

INSTALLED_FILES = bin/pyretain lib/pyretain/libpyretain.so include/pyretain.h \
	$(patsubst %,share/pyretain/%,$(wildcard gdb/*.py lldb/*.py)) share/man/man1/pyretain.1
install: all
	install -D -m 755 $(BUILD)/pyretain $(DESTDIR)$(PREFIX)/bin/pyretain
	install -D -m 755 $(BUILD)/libpyretain.so $(DESTDIR)$(PREFIX)/lib/pyretain/libpyretain.so
	install -D -m 644 core/include/pyretain.h $(DESTDIR)$(PREFIX)/include/pyretain.h
	install -D -m 644 docs/pyretain.1 $(DESTDIR)$(PREFIX)/share/man/man1/pyretain.1
	for f in $(wildcard gdb/*.py lldb/*.py); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/pyretain/$$f || exit 1; done
uninstall:
	rm -f $(INSTALLED_FILES:%=$(DESTDIR)$(PREFIX)/%)
	rm -rf $(DESTDIR)$(PREFIX)/share/pyretain $(DESTDIR)$(PREFIX)/lib/pyretain

# The C sources that people write: not the generated tables.
SOURCES = $(sort $(wildcard core/*/*.[ch] core/analysis/*/*.[ch] core/*/gen/*.[ch] tests/unit/*.[ch] tests/bench/*.[ch]))
format:
	clang-format -i $(SOURCES)
lint-rooms:
	@/usr/bin/python3 tools/lint_rooms.py
lint: lint-rooms
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=nullPointerRedundantCheck -Icore -Icore/include core

# Packages of the distribution that building, the demo and the tests need.
deps:
	@tools/deps.sh build demo test

# All tests; PYTEST="-k census" narrows them. MATRIX=full: a missing interpreter is a failure.
check: deps
	@MAKE="$(MAKE)" tools/check.sh $(PYTEST)

# While one works: what changed is built; the unit tests and the sessions on the system's Python.
quick:
	@MAKE="$(MAKE)" QUICK=1 tools/check.sh $(PYTEST)

# For editors: how each file is compiled.
.PHONY: quick compile_commands.json
compile_commands.json:
	@$(MAKE) -s --always-make --dry-run BUILD=$(BUILD) all unit $(BENCH) | /usr/bin/python3 tools/compile_commands.py >$@.new
	@mv $@.new $@

help:
	@echo "make            the library and the command, in $(BUILD)/"
	@echo "make deps       install the distribution's packages that are needed"
	@echo "make demo       a leaking service, its core (kept in $(BUILD)/demo), and a session on it"
	@echo "make check      all tests (PYTEST='-k census' narrows them; MATRIX=full: gaps are failures)"
	@echo "make quick      the unit tests, and the sessions on the system's Python alone"
	@echo "make unit       the unit tests alone, in $(BUILD)/tests/unit/"
	@echo "make bench      speed and memory against CPython's own, as ratios"
	@echo "make bench-extremes  a list nested 10 million deep, a dict of 50 million entries"
	@echo "make docs       docs/commands/ and docs/pyretain.1 from the table of commands"
	@echo "make layouts    the layout tables from the debug info that this machine has"
	@echo "make install    into PREFIX=$(PREFIX) (DESTDIR before it); make uninstall removes it"
	@echo "make format     clang-format; make lint checks it and runs cppcheck"
	@echo "make compile_commands.json  for editors: how each file is compiled"

# Heaps of 1 and 10 million objects: a census, and the references, against CPython's own
# gc.collect(), in one run. The extremes need 5 GB of memory, and as much disk for a core.
bench-extremes: all $(BUILD)/tests/bench/graph_bench
	@BUILD=$(BUILD) /usr/bin/python3 tests/bench/bench.py deep wide
bench: all $(BENCH)
	@BUILD=$(BUILD) /usr/bin/python3 tests/bench/bench.py $(OBJECTS)
	@BUILD=$(BUILD) /usr/bin/python3 tests/bench/memory_bench.py $(firstword $(OBJECTS))
	@BUILD=$(BUILD) /usr/bin/python3 tests/bench/cycles_bench.py $(firstword $(OBJECTS))

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

clean:
	rm -rf $(BUILD) build-asan build-ubsan

-include $(LIB_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(UNIT:=.d) $(UNIT_SUPPORT:.o=.d) $(DOCS_OBJ:.o=.d) $(BENCH:=.d)
include core/layout/gen/layouts.mk

.PHONY: demo
demo:
	@tools/deps.sh build demo
	@$(MAKE) -s all
	@docs/demo/run.sh $(BUILD)

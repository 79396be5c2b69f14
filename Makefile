# pyretain: `make` builds the library and the command; `make help` lists the rest.
BUILD   ?= build
CC      ?= cc
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror
CPPFLAGS += -Icore -Icore/include
override CFLAGS += -std=gnu11 -fPIC -fvisibility=hidden -pthread $(WARN)
# SANITIZE=address,undefined (with a BUILD of its own): what `make check` also runs.
ifdef SANITIZE
override CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all -Wno-maybe-uninitialized
endif

# The command's own sources; all others are the library's.
MAIN_SRC := core/command/main.c core/command/front_shell.c core/command/front_terminal.c
LIB_SRC := $(filter-out $(MAIN_SRC) core/layout/gen/%,$(sort $(wildcard core/*/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIBS    := -lelf -ldwarf -lzstd -llz4 -lz -ldl -lm

MAIN_OBJ := $(MAIN_SRC:%.c=$(BUILD)/%.o)
UNIT    := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))

.PHONY: all unit deps check clean
all: $(BUILD)/libpyretain.so $(BUILD)/pyretain

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libpyretain.so: $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $^ $(LIBS)

$(BUILD)/pyretain: $(MAIN_OBJ) $(BUILD)/libpyretain.so
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(MAIN_OBJ) -L$(BUILD) -lpyretain -ledit -Wl,--allow-shlib-undefined \
		-Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib/pyretain'

# Unit tests see the core's inside: they link its objects, not the library.
unit: $(UNIT)
$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(UNIT_SUPPORT) $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
.SECONDARY: $(UNIT:=.o) $(UNIT_SUPPORT)

# Packages of the distribution that building, the demo and the tests need.
deps:
	@tools/deps.sh build demo test

# All tests; PYTEST="-k census" narrows them. MATRIX=full: a missing interpreter is a failure.
check: deps
	@MAKE="$(MAKE)" tools/check.sh $(PYTEST)

clean:
	rm -rf $(BUILD) build-asan build-ubsan

-include $(LIB_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(UNIT:=.d) $(UNIT_SUPPORT:.o=.d)
include core/layout/gen/layouts.mk

.PHONY: demo
demo:
	@tools/deps.sh build demo
	@$(MAKE) -s all
	@docs/demo/run.sh $(BUILD)

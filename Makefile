# pyretain: `make` builds the library and the command; `make help` lists the rest.
BUILD   ?= build
CC      ?= cc
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror
CPPFLAGS += -Icore -Icore/include
override CFLAGS += -std=gnu11 -fPIC -fvisibility=hidden -pthread $(WARN)

LIB_SRC := $(filter-out core/command/main.c core/layout/gen/%,$(sort $(wildcard core/*/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIBS    := -lelf -ldwarf -lzstd -llz4 -lz -ledit -ldl -lm

.PHONY: all clean
all: $(BUILD)/libpyretain.so

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libpyretain.so: $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $^ $(LIBS)

clean:
	rm -rf $(BUILD)

-include $(LIB_OBJ:.o=.d)
include core/layout/gen/layouts.mk

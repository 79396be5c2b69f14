# make layouts: write core/layout/tables again from the debug info that this machine has.
# LAYOUT_ROOTS: directories into which core/layout/gen/fetch-debian.sh extracted packages.
# make layouts-check: compare that debug info with the tables; writes nothing.
GEN_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard core/layout/gen/*.c core/base/*.c) \
	$(addprefix core/layout/,tables.c libdwarf.c dwarf.c dwarf-type.c debug-file.c debuginfod.c names.c))

export LAYOUT_ROOTS
.PHONY: layouts layouts-check
$(BUILD)/pyretain-layouts: $(GEN_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lelf -lz -ldl

layouts: $(BUILD)/pyretain-layouts
	sh core/layout/gen/regenerate.sh $< -o core/layout/tables

layouts-check: $(BUILD)/pyretain-layouts
	sh core/layout/gen/regenerate.sh $< --check

-include $(GEN_OBJ:.o=.d)

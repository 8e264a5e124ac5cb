# SPDX-License-Identifier: BSD-2-Clause
# Bare-metal test guests: each tests/guests/NAME.c becomes build/guests/bare/NAME.elf, 64-bit code in the 32-bit
# ELF file that Multiboot wants.
BARE_C := $(sort $(wildcard tests/guests/*.c))
BARE := $(BARE_C:tests/guests/%.c=$(B)/guests/bare/%.elf)
BARE_LIB := $(addprefix $(B)/bare/,tests/guests/lib/start.o tests/guests/lib/guest.o kernel/fmt.o \
              kernel/string.o kernel/libc.o)
BARE_CFLAGS := -std=gnu11 -O2 -g $(WARN) -I. -nostdinc -isystem $(GCC_INCLUDE) -ffreestanding -fno-pic -fno-pie \
               -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-strict-aliasing \
               -fcf-protection=none -fno-asynchronous-unwind-tables -Wno-array-bounds -Wno-clobbered

$(B)/bare/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(BARE_CFLAGS) -MMD -MP -c $< -o $@
$(B)/bare/%.o: %.S
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(BARE_CFLAGS) -MMD -MP -c $< -o $@

$(B)/guests/bare/%.elf: $(B)/bare/tests/guests/%.o $(BARE_LIB) tests/guests/lib/guest.ld
	@mkdir -p $(@D)
	@ld -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
	    -T tests/guests/lib/guest.ld -o $@.64 $(filter %.o,$^)
	@objcopy -O elf32-i386 --strip-debug $@.64 $@
	@rm $@.64

.PHONY: bare-guests
.SECONDARY:
bare-guests: $(BARE)

-include $(BARE_C:%.c=$(B)/bare/%.d) $(BARE_LIB:.o=.d)

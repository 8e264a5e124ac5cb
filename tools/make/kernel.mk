# SPDX-License-Identifier: BSD-2-Clause
# The kernel image: build/ferry.elf (symbols, no debug information) from every .c and .S below the
# folders of the hypervisor proper.
KERNEL_DIRS := arch/x86_64/boot/entry arch/x86_64/cpu arch/x86_64/vmx arch/x86_64/svm \
               kernel vmm drivers migrate
KERNEL_C := $(sort $(shell find $(KERNEL_DIRS) -name '*.c' 2>/dev/null))
KERNEL_S := $(sort $(shell find $(KERNEL_DIRS) -name '*.S' 2>/dev/null))
KERNEL_OBJ := $(KERNEL_C:%.c=$(B)/kernel/%.o) $(KERNEL_S:%.S=$(B)/kernel/%.o)
KERNEL_CFLAGS := -std=gnu11 -O2 -g $(WARN) -I. -I$(B)/gen -nostdinc -isystem $(GCC_INCLUDE) -ffreestanding \
                 -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
                 -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing \
                 -fcf-protection=none -fno-asynchronous-unwind-tables -ffunction-sections \
                 -fdata-sections

$(B)/kernel/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(KERNEL_CFLAGS) -MMD -MP -c $< -o $@

$(B)/kernel/%.o: %.S
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(KERNEL_CFLAGS) -MMD -MP -D__ASSEMBLY__ -c $< -o $@

# Vector instructions, in files that are only called between arch_fpu_begin and arch_fpu_end. The kernel's stacks
# are aligned to 8 bytes.
SIMD_OBJ := drivers/net/roce/icrc_clmul.o
SIMD_CFLAGS := -msse4.1 -mpclmul
$(SIMD_OBJ:%=$(B)/kernel/%): KERNEL_CFLAGS := $(filter-out -mgeneral-regs-only,$(KERNEL_CFLAGS)) $(SIMD_CFLAGS) -mstackrealign

# The guests' ACPI tables are written in ASL.
$(B)/gen/%.aml.h: %.asl
	@mkdir -p $(@D)
	iasl -vs -p $(B)/gen/$* $< >$(B)/gen/$(*F).log || { cat $(B)/gen/$(*F).log; false; }
	(echo '/* From $<. */'; echo 'static const unsigned char $(*F)_aml[] = {'; \
	 od -An -v -tx1 $(B)/gen/$*.aml | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '};') >$@

# xxHash is one header of Debian's; it finds there what it asks of a C library.
$(B)/gen/xxhash/xxhash.h: /usr/include/xxhash.h
	@mkdir -p $(@D)
	@ln -sf $< $@
$(B)/kernel/vmm/share/hash.o: $(B)/gen/xxhash/xxhash.h
$(B)/kernel/vmm/share/hash.o: KERNEL_CFLAGS += -isystem kernel/freestanding -isystem $(B)/gen/xxhash

# BearSSL is Debian's archive, which expects an aligned stack.
BEARSSL := $(shell $(CC) -print-file-name=libbearssl.a)
BEARSSL_INCLUDE := -isystem /usr/include/bearssl
$(B)/kernel/kernel/crypto/crypto.o: KERNEL_CFLAGS += -isystem kernel/freestanding $(BEARSSL_INCLUDE) -mstackrealign

$(B)/kernel/vmm/load/acpi.o $(B)/host/vmm/load/acpi.o $(B)/fuzz/vmm/load/acpi.o: \
    $(B)/gen/vmm/load/dsdt.aml.h

$(B)/ferry.debug.elf: $(KERNEL_OBJ) linker.ld
	@echo "  LD $@"; $(CC) -nostdlib -static -no-pie -Wl,-T,linker.ld -Wl,-z,max-page-size=4096 \
	    -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--no-warn-rwx-segments -o $@ $(KERNEL_OBJ) $(BEARSSL)

$(B)/ferry.elf: $(B)/ferry.debug.elf
	@echo "  OBJCOPY $@"; objcopy --strip-debug $< $@

-include $(KERNEL_OBJ:.o=.d)

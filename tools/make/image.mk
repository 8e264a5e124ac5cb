# SPDX-License-Identifier: BSD-2-Clause
# The UEFI loader, and boot volumes.
EFI_CFLAGS := -std=gnu11 -O2 -g $(WARN) -Wno-error=cpp -I. -isystem /usr/include/efi \
              -isystem /usr/include/efi/x86_64 -ffreestanding -fpic -fshort-wchar -mno-red-zone \
              -fno-stack-protector -fno-strict-aliasing -maccumulate-outgoing-args \
              -DGNU_EFI_USE_MS_ABI -DEFI_FUNCTION_WRAPPER
EFI_C := $(sort $(wildcard arch/x86_64/boot/*.c)) kernel/config.c kernel/string.c kernel/fmt.c kernel/libc.c
EFI_OBJ := $(EFI_C:%.c=$(B)/efi/%.o)

$(B)/efi/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(EFI_CFLAGS) -MMD -MP -c $< -o $@

$(B)/efi/loader.so: $(EFI_OBJ)
	@echo "  LD $@"; ld -nostdlib -znocombreloc -shared -Bsymbolic -T /usr/lib/elf_x86_64_efi.lds \
	    /usr/lib/crt0-efi-x86_64.o $^ -L/usr/lib -lgnuefi -o $@
	@if nm -u $@ | grep -q .; then echo 'loader: undefined symbols:'; nm -u $@; rm $@; false; fi

$(B)/BOOTX64.EFI: $(B)/efi/loader.so
	@echo "  OBJCOPY $@"; objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela -j '.rel.*' \
	    -j '.rela.*' -j .reloc --target efi-app-x86_64 --subsystem=10 $< $@

-include $(EFI_OBJ:.o=.d)

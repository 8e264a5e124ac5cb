# SPDX-License-Identifier: BSD-2-Clause
# Unit tests: every tests/unit/test_*.c is one cmocka program, linked with whatever it needs from
# the hypervisor's own sources compiled for the build host, under ASan and UBSan.
HOST_DIRS := kernel vmm drivers migrate tools/hca arch/x86_64/vmx arch/x86_64/svm \
             arch/x86_64/cpu/paging.c arch/x86_64/cpu/fpu_own.c tests/unit/fake
HOST_C := $(sort $(shell find $(HOST_DIRS) -name '*.c' 2>/dev/null))
HOST_SKIP := $(shell cat tests/unit/not-on-host.txt 2>/dev/null)
HOST_OBJ := $(filter-out $(HOST_SKIP:%.c=$(B)/host/%.o),$(HOST_C:%.c=$(B)/host/%.o))
HOST_CFLAGS := -std=gnu11 -O1 -g $(WARN) -Wno-builtin-declaration-mismatch -I. -I$(B)/gen -DFERRY_HOST -fno-builtin \
               -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))

$(SIMD_OBJ:%=$(B)/host/%): HOST_CFLAGS += $(SIMD_CFLAGS)
$(B)/host/kernel/crypto/crypto.o: HOST_CFLAGS += $(BEARSSL_INCLUDE)
$(B)/host/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(HOST_CFLAGS) -MMD -MP -c $< -o $@

$(B)/host/libferry.a: $(HOST_OBJ)
	@rm -f $@
	@echo "  AR $@"; ar rcs $@ $^

$(B)/unit/%: tests/unit/%.c $(B)/host/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) $(HOST_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/host/libferry.a -lbearssl -lcmocka -lZydis

.PHONY: unit
unit: $(UNIT_TESTS:%=$(B)/unit/%) ## the unit tests alone
	@set -e; for t in $^; do echo "== $$t"; timeout 120 $$t; done

-include $(HOST_OBJ:.o=.d) $(UNIT_TESTS:%=$(B)/unit/%.d)

# SPDX-License-Identifier: BSD-2-Clause
# What can be found without running anything. Each part can be made alone, and says what would help.
CHECK_DIRS := arch kernel vmm drivers migrate tests tools/hca
CHECK_C := $(sort $(shell find $(CHECK_DIRS) -name '*.[ch]' 2>/dev/null))
CHECK_H := $(filter %.h,$(CHECK_C))
CHECK_CC_FLAGS := -std=gnu11 $(BEARSSL_INCLUDE) -I. -I$(B)/gen -ffreestanding -mcmodel=kernel -mno-red-zone $(SIMD_CFLAGS) -fno-pic -w
CHECK_JOBS ?= 2

# Compiles a header alone with the flags of what it belongs to.
header_flags = $(if $(filter tests/% tools/%,$1),$(HOST_CFLAGS) -Itests/unit,$(if $(filter arch/x86_64/boot/%,$1),$(EFI_CFLAGS),$(KERNEL_CFLAGS)))
header_check = echo '\#include "$1"' | $(CC) $(call header_flags,$1) -fsyntax-only -x c - || bad=1;

.PHONY: check check-format check-headers check-layers check-licence check-mutants check-cppcheck check-tidy format
check: check-layers check-licence check-mutants check-headers check-cppcheck check-tidy check-format ## style, layers, static analysis

check-format:
	@echo "  CHECK format"; clang-format --dry-run -Werror $(CHECK_C) || \
	    { echo 'check-format: the files above are not as .clang-format wants them; `make format` does it'; false; }

format: ## lays out all C as .clang-format says
	clang-format -i $(CHECK_C)

check-headers:
	@echo "  CHECK headers"; bad=; $(foreach h,$(CHECK_H),$(call header_check,$h)) [ -z "$$bad" ] || \
	    { echo 'check-headers: a header above does not compile alone: it lacks an #include'; false; }

check-layers:
	@echo "  CHECK layers"; tools/check-layers

# Prose and data have no place for it.
check-licence:
	@echo "  CHECK licence"; ! git ls-files | grep -vE '\.(md|txt|svg|dict|cfg)$$|^LICENSE$$|/?\.(gitignore|clang-.*)$$' | \
	    xargs grep -L 'SPDX-License-Identifier: BSD-2-Clause' | grep . || \
	    { echo 'check-licence: the files above lack their line "SPDX-License-Identifier: BSD-2-Clause"'; false; }

check-mutants:
	@echo "  CHECK mutants"; tests/sim/migrate/mutants --check || \
	    { echo 'check-mutants: tests/sim/migrate/mutants.txt must follow the source'; false; }

# cppcheck's parser stumbles over attributes and inline assembly; it is told to skip them, and does not see then
# what assembly writes to.
check-cppcheck: $(B)/gen/vmm/load/dsdt.aml.h
	@echo "  CHECK cppcheck"; cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance \
	    --inline-suppr --std=c11 -j$(CHECK_JOBS) -I. -I$(B)/gen '-D__attribute__(x)=' '-D__asm__(x)=' \
	    --library=tools/cppcheck.cfg --suppress=comparePointers \
	    --suppress=uninitvar:arch/* --suppress=uninitStructMember:arch/* $(KERNEL_C) || \
	    { echo 'check-cppcheck: mend what it found; if it is wrong, `// cppcheck-suppress ID` with the reason'; false; }

check-tidy: $(B)/gen/vmm/load/dsdt.aml.h
	@echo "  CHECK clang-tidy"; printf '%s\n' $(KERNEL_C) | xargs -P$(CHECK_JOBS) -n4 \
	    sh -c 'clang-tidy --quiet "$$@" -- $(CHECK_CC_FLAGS) 2>/dev/null' sh || \
	    { echo 'check-tidy: mend what it found; if it is wrong, `// NOLINT(check)` with the reason'; false; }

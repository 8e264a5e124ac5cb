# SPDX-License-Identifier: BSD-2-Clause
# The build's name, from git; only kernel/version.c depends on it.
FERRY_BUILD := $(shell git describe --always --dirty --abbrev=10 2>/dev/null || echo unknown)

$(B)/gen/build-id: FORCE
	@mkdir -p $(@D)
	@echo '$(FERRY_BUILD)' | cmp -s - $@ || echo '$(FERRY_BUILD)' >$@

.PHONY: FORCE
FORCE:

$(B)/kernel/kernel/version.o: $(B)/gen/build-id
$(B)/kernel/kernel/version.o: KERNEL_CFLAGS += -DFERRY_BUILD='"$(FERRY_BUILD)"'

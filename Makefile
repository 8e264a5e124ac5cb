# SPDX-License-Identifier: BSD-2-Clause
# Ferry. `make help` lists what there is to do.
.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
B := build

CC := gcc
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wpointer-arith -Wimplicit-fallthrough -Wno-missing-field-initializers
GCC_INCLUDE = $(shell $(CC) -print-file-name=include)

include tools/make/version.mk
include tools/make/kernel.mk
include tools/make/image.mk
include tools/make/unit.mk
include tools/make/sim.mk
include tools/make/hca.mk
include tools/make/fuzz.mk
-include tools/make/guests.mk
-include tools/make/check.mk
include tools/make/rig.mk
include tools/make/wire.mk

.PHONY: help clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' \
	    Makefile tools/make/*.mk | sort

clean: ## removes build/
	rm -rf $(B)

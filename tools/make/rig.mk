# SPDX-License-Identifier: BSD-2-Clause
# Hosts to run and to test on.
# rdma_rxe with what it needs, in the order in which they are loaded, and the NIC's driver.
MODULES := udp_tunnel ip6_udp_tunnel ib_core ib_uverbs crc32_generic rdma_rxe e1000
# mlx5_ib with what it needs beside that.
MODULES += mlxfw psample pci-hyperv-intf mlx5_core mlx5_ib
MODULE_FILES := $(MODULES:%=$(B)/guests/generic/%.ko)
GUESTS := $(B)/guests/cloud/vmlinuz $(B)/guests/generic/vmlinuz $(MODULE_FILES) $(B)/guests/initrd.gz $(B)/rxe $(B)/hca
FERRY := $(B)/ferry.elf $(B)/BOOTX64.EFI $(B)/qemu_ignne.so
PYTEST := /usr/bin/python3 -m pytest -p no:cacheprovider -q --tb=short

$(B)/guests/cloud/vmlinuz:
	tools/guest-kernel linux-image-cloud-amd64 $(@D)
$(B)/guests/generic/vmlinuz $(MODULE_FILES) &:
	tools/guest-kernel linux-image-amd64 $(B)/guests/generic $(MODULES)
$(B)/guests/initrd.gz: tools/guest-initrd
	tools/guest-initrd $@

# Runs in a Linux guest: libibverbs and its rxe provider are linked in. What libnl has for names of hosts is not used.
RXE_FLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -DRDMA_STATIC_PROVIDERS=rxe -Wall -Wextra -Werror -Wmissing-prototypes
$(B)/rxe: $(wildcard tests/rxe/*.[ch])
	@echo "  LD $@"; $(CC) $(RXE_FLAGS) -static -o $@ $(filter %.c,$^) -Wl,--no-warnings -Wl,--start-group -lrxe-rdmav34 -libverbs \
	    -Wl,--end-group -lnl-route-3 -lnl-3

# Preloaded into QEMU, whose emulation of SVM has a race.
$(B)/qemu_ignne.so: tools/rig/qemu_ignne.c
	@echo "  LD $@"; $(CC) -std=gnu11 -O2 $(WARN) -shared -fPIC -o $@ $<

$(B)/packages: packages.txt tools/install-packages
	@mkdir -p $(B)
	@tools/install-packages
	@touch $@

CPU ?= amd
CPUS ?= 1
MEM ?= 256M
CMDLINE ?= console=ttyS0
KERNEL ?= $(B)/guests/cloud/vmlinuz
INITRD ?= $(B)/guests/initrd.gz

# What runs or tests hosts first makes sure that this machine has the packages, then starts over: before
# that, not even the compiler may be there.
.PHONY: all demo run test soak bench image
demo: $(B)/packages ## two hosts, and a Linux VM that moves between them (CPU=amd|intel NIC=mlx5|e1000)
	@$(MAKE) --no-print-directory $(FERRY) $(GUESTS)
	@tools/demo $(CPU) $(NIC)

run: $(B)/packages ## a host in this terminal (KERNEL= INITRD= CMDLINE= MEM= CPUS= CPU=)
	@$(MAKE) --no-print-directory $(FERRY) $(GUESTS)
	@tools/run --cpu $(CPU) --kernel $(KERNEL) --initrd $(INITRD) --cmdline '$(CMDLINE)' --mem $(MEM) \
	    --cpus $(CPUS)

test: $(B)/packages ## everything that must pass
	@tools/test

soak: $(B)/packages ## the same, with what is long and repeated
	@tools/test --soak

bench: $(B)/packages ## prints every figure (FIGURE=name for one)
	@$(MAKE) --no-print-directory all
	@tools/bench $(FIGURE)

all: $(FERRY) $(GUESTS) bare-guests

image: $(B)/packages ## a disk image for a USB stick or a lab server
	@$(MAKE) --no-print-directory $(FERRY) $(GUESTS)
	@tools/disk-image $(B)/ferry.img

# The packet-level simulation of two hosts with soft-RoCE: seeds that replay. `make sim FIRST=77 SEEDS=1 VERBOSE=-v`
# shows one again.
SEEDS ?= 2000
FIRST ?= 1

$(B)/sim/roce: tests/sim/roce/sim.c $(B)/host/libferry.a
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/host/libferry.a

.PHONY: sim sim-soak
sim: $(B)/sim/roce ## two hosts on a bad line, for SEEDS (2000) seeds from FIRST (1) on
	@$(B)/sim/roce $(FIRST) $(SEEDS) $(VERBOSE)

sim-soak: $(B)/sim/roce
	@$(B)/sim/roce 1 100000

-include $(B)/sim/roce.d

# Figures want an optimised build without sanitizers.
FIGURES_C := tests/sim/roce/figures.c tests/unit/fake/roce_world.c $(sort $(wildcard drivers/net/*.c drivers/net/roce/*.c)) \
             kernel/err.c kernel/fmt.c kernel/string.c
$(B)/sim/roce-figures: $(FIGURES_C) $(wildcard drivers/net/*.h drivers/net/roce/*.h tests/unit/fake/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -I. -I$(B)/gen -DFERRY_HOST -o $@ $(FIGURES_C) tests/sim/roce/memory.c -lz

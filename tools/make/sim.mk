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

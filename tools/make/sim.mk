# SPDX-License-Identifier: BSD-2-Clause
# The packet-level simulation of two hosts with soft-RoCE: seeds that replay. `make sim FIRST=77 SEEDS=1 VERBOSE=-v`
# shows one again.
SEEDS ?= 2000
FIRST ?= 1

$(B)/sim/roce: tests/sim/roce/sim.c $(B)/host/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) $(HOST_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/host/libferry.a

# Migration between hosts, over a fabric at the level of the verbs.
SIM_MIGRATE := $(filter-out %/costs.c,$(wildcard tests/sim/migrate/*.c))
$(B)/sim/migrate: $(SIM_MIGRATE) $(wildcard tests/sim/migrate/*.h) $(B)/host/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) $(HOST_CFLAGS) -o $@ $(SIM_MIGRATE) $(B)/host/libferry.a -lbearssl

.PHONY: sim sim-soak sim-migrate sim-migrate-soak sim-mutants model
sim: $(B)/sim/roce ## two hosts on a bad line, for SEEDS (2000) seeds from FIRST (1) on
	@$(B)/sim/roce $(FIRST) $(SEEDS) $(VERBOSE)

sim-migrate: $(B)/sim/migrate ## VMs move between hosts that fail, for SEEDS (2000) seeds from FIRST (1) on
	@$(B)/sim/migrate $(FIRST) $(SEEDS) $(VERBOSE)
	@$(B)/sim/migrate 211865 1 # two links end at once
	@$(B)/sim/migrate 213328 1 # an open comes late, of a session that has ended
	@$(B)/sim/migrate --sweep
	@$(B)/sim/migrate --used
	@$(B)/sim/migrate --large
	@$(B)/sim/migrate --boots
	@$(B)/sim/migrate --claims
	@$(B)/sim/migrate --bounds
	@$(B)/sim/migrate --damaged
	@$(B)/sim/migrate --single

sim-migrate-soak: $(B)/sim/migrate-fast ## the same for 10^5 seeds and each pair of faults, without sanitizers
	@$(B)/sim/migrate-fast 1 100000
	@$(B)/sim/migrate-fast --pairs

sim-mutants: $(B)/sim/migrate-fast ## each of many deliberate defects must make it fail (DEFECT=word: only those)
	@tests/sim/migrate/mutants '$(CC) $(FAST_CFLAGS)' $(B)/fast/libmigrate.a $(DEFECT)

model: ## spin proves the hand-off of a VM, and refutes defects of it
	@tests/model/check

sim-soak: $(B)/sim/roce-fast ## the same for 10^5 seeds, optimised and without sanitizers
	@$(B)/sim/roce-fast 1 100000

-include $(B)/sim/roce.d

# Figures, and very many seeds, want an optimised build without sanitizers. It is a library, so that of the
# drivers only what soft-RoCE needs is linked.
FAST_CFLAGS := -std=gnu11 -O2 -g $(WARN) -Wno-builtin-declaration-mismatch -I. -I$(B)/gen -DFERRY_HOST
FAST_C := $(sort $(wildcard drivers/net/*.c drivers/net/roce/*.c)) tests/unit/fake/roce_world.c \
          tests/sim/roce/memory.c kernel/err.c kernel/fmt.c kernel/string.c
FAST_OBJ := $(FAST_C:%.c=$(B)/fast/%.o)

$(SIMD_OBJ:%=$(B)/fast/%): FAST_CFLAGS += $(SIMD_CFLAGS)
$(B)/fast/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(FAST_CFLAGS) -MMD -MP -c $< -o $@

$(B)/fast/libferry.a: $(FAST_OBJ)
	@rm -f $@
	@echo "  AR $@"; ar rcs $@ $^

$(B)/sim/roce-figures: $(B)/fast/tests/sim/roce/figures.o $(B)/fast/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -o $@ $^ -lz

$(B)/sim/roce-costs: $(B)/fast/tests/sim/roce/costs.o $(B)/fast/tests/sim/roce/rings.o $(B)/fast/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -o $@ $^ -lz

# The mlx5 driver's data path, beside rdma-core's header; compiled for what the kernel is.
$(B)/fast/drivers/net/mlx/%.o $(B)/fast/tests/sim/mlx/%.o: FAST_CFLAGS += -mgeneral-regs-only -fno-strict-aliasing -fno-pie
$(B)/sim/mlx-costs: $(addprefix $(B)/fast/,tests/sim/mlx/costs.o drivers/net/mlx/wqe.o drivers/net/mlx/wq.o \
                      drivers/net/mlx/cq.o) $(B)/fast/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -no-pie -o $@ $^

# Page sharing with all that it stands on.
SHARE_C := $(filter-out $(HOST_SKIP),$(wildcard kernel/*.c vmm/memory/*.c vmm/share/*.c)) arch/x86_64/svm/npt.c \
           $(addprefix tests/unit/fake/,arch.c context.c fault_point.c panic.c)
SHARE_OBJ := $(SHARE_C:%.c=$(B)/fast/%.o)

$(B)/fast/libshare.a: $(SHARE_OBJ)
	@rm -f $@
	@echo "  AR $@"; ar rcs $@ $^

$(B)/sim/share-costs: $(B)/fast/tests/sim/share/costs.o $(B)/fast/libshare.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -o $@ $^

# Migration with all that it stands on.
MIGRATE_C := $(filter-out $(HOST_SKIP),$(wildcard migrate/*.c)) kernel/crypto/crypto.c kernel/config.c \
             arch/x86_64/cpu/fpu_own.c drivers/net/verbs.c drivers/net/verbs_names.c
MIGRATE_OBJ := $(MIGRATE_C:%.c=$(B)/fast/%.o)
$(B)/fast/kernel/crypto/crypto.o: FAST_CFLAGS += $(BEARSSL_INCLUDE)

$(B)/fast/libmigrate.a: $(sort $(SHARE_OBJ) $(MIGRATE_OBJ))
	@rm -f $@
	@echo "  AR $@"; ar rcs $@ $^

$(B)/sim/migrate-fast: $(SIM_MIGRATE:%.c=$(B)/fast/%.o) $(B)/fast/libmigrate.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -o $@ $^ -lbearssl

$(B)/sim/migrate-costs: $(addprefix $(B)/fast/tests/sim/migrate/,costs.o fabric.o world.o) $(B)/fast/libmigrate.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -o $@ $^ -lbearssl -Wl,--wrap=dirty_harvest

$(B)/sim/roce-fast: $(B)/fast/tests/sim/roce/sim.o $(B)/fast/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -o $@ $^

-include $(sort $(FAST_OBJ:.o=.d) $(SHARE_OBJ:.o=.d) $(MIGRATE_OBJ:.o=.d)) \
         $(wildcard $(B)/fast/tests/sim/*/*.d $(B)/fast/drivers/net/mlx/*.d)

# SPDX-License-Identifier: BSD-2-Clause
# Fuzzing: every tests/fuzz/fuzz_*.c is one libFuzzer program over the hypervisor's own sources,
# compiled by clang with coverage, ASan and UBSan. New inputs are kept in build/fuzz/corpus.
FUZZ_CC := clang
FUZZ_SANITIZE := address,undefined
FUZZ_COVERAGE := fuzzer-no-link,
FUZZ_CFLAGS := -std=gnu11 -O1 -g -I. -I$(B)/gen -DFERRY_HOST -fno-builtin -fno-omit-frame-pointer \
               -fno-sanitize-recover=all
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_OBJ := $(HOST_OBJ:$(B)/host/%=$(B)/fuzz/%)
FUZZ_SECONDS ?= 600
FUZZ_RUNS ?= 200000
# Each of these takes ten times as long for a run as the others, or more.
FUZZ_SLOW := fuzz_config fuzz_hca fuzz_ip fuzz_mlx fuzz_mlx_eq fuzz_roce_responder fuzz_vm_state
# And these a hundred times.
FUZZ_SLOWEST := fuzz_migrate
# A target may have a dictionary beside it.
FUZZ_DICT = $$([ ! -f tests/fuzz/$$t.dict ] || echo -dict=tests/fuzz/$$t.dict)
# libFuzzer makes inputs of values that it saw compared, addresses among them: these are to be the same in each run.
FUZZ_SAME := env -i PATH=/usr/bin:/bin $(shell setarch -R true 2>/dev/null && echo setarch -R)
FUZZ_FLAGS := -len_control=0 -max_len=4096 -artifact_prefix=$(B)/fuzz/

$(SIMD_OBJ:%=$(B)/fuzz/%): FUZZ_CFLAGS += $(SIMD_CFLAGS)
$(B)/fuzz/kernel/crypto/crypto.o: FUZZ_CFLAGS += $(BEARSSL_INCLUDE)
$(B)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@echo "  FUZZCC $<"; $(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=$(FUZZ_COVERAGE)$(FUZZ_SANITIZE) \
	    -MMD -MP -c $< -o $@

$(B)/fuzz/libferry.a: $(FUZZ_OBJ)
	@rm -f $@
	@echo "  AR $@"; ar rcs $@ $^

# With the hosts of the simulator, of which nothing is to be learnt.
FUZZ_SIM := $(patsubst %,$(B)/fuzz/tests/sim/migrate/%.o,world fabric)
$(FUZZ_SIM): FUZZ_COVERAGE :=
$(B)/fuzz/bin/fuzz_migrate: $(FUZZ_SIM)

$(B)/fuzz/bin/%: tests/fuzz/%.c $(B)/fuzz/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer,$(FUZZ_SANITIZE) -MMD -MP -MF $@.d -o $@ $< \
	    $(filter %.o,$^) $(B)/fuzz/libferry.a -lbearssl

.PHONY: fuzz fuzz-short
fuzz: $(FUZZ_TARGETS:%=$(B)/fuzz/bin/%) ## fuzz each parser for FUZZ_SECONDS (600)
	@set -e; for t in $(FUZZ_TARGETS); do mkdir -p $(B)/fuzz/corpus/$$t; echo "== $$t"; \
	    $(B)/fuzz/bin/$$t -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	    $(FUZZ_FLAGS) $(FUZZ_DICT) $(B)/fuzz/corpus/$$t; done

fuzz-short: $(FUZZ_TARGETS:%=$(B)/fuzz/bin/%) ## a few seconds of each, always the same
	@set -e; for t in $(FUZZ_TARGETS); do echo "== $$t"; \
	    runs=$(FUZZ_RUNS); \
	    case " $(FUZZ_SLOW) " in *" $$t "*) runs=$$(($(FUZZ_RUNS) / 10));; esac; \
	    case " $(FUZZ_SLOWEST) " in *" $$t "*) runs=$$(($(FUZZ_RUNS) / 100));; esac; \
	    $(FUZZ_SAME) $(B)/fuzz/bin/$$t -runs=$$runs -seed=1 $(FUZZ_FLAGS) $(FUZZ_DICT) \
	    2>$(B)/fuzz/$$t.log || { cat $(B)/fuzz/$$t.log; false; }; \
	    tail -1 $(B)/fuzz/$$t.log; done

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_SIM:.o=.d) $(FUZZ_TARGETS:%=$(B)/fuzz/bin/%.d)

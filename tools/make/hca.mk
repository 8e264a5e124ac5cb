# SPDX-License-Identifier: BSD-2-Clause
# The model of a card: a process of the build host, with the RC engine's own sources.
HCA_C := $(sort $(wildcard tools/hca/*.c))
HCA_OBJ := $(HCA_C:%.c=$(B)/fast/%.o)
$(B)/hca: $(HCA_OBJ) $(B)/fast/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) -o $@ $^

.PHONY: hca
hca: $(B)/hca ## the model of a ConnectX card, for stock QEMU (build/hca --help)

-include $(HCA_OBJ:.o=.d)

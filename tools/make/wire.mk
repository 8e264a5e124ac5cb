# SPDX-License-Identifier: BSD-2-Clause
# What Ferry puts on the wire, judged by tshark and scapy.
$(B)/wire/roce-capture: tests/wire/capture.c $(B)/host/libferry.a
	@mkdir -p $(@D)
	@echo "  LD $@"; $(CC) $(HOST_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/host/libferry.a

.PHONY: wire
wire: $(B)/wire/roce-capture ## tshark and scapy read our packets
	@$(PYTEST) tests/wire

-include $(B)/wire/roce-capture.d

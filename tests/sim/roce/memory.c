/* Where the simulated hosts have their memory, in builds without the fake machine of the unit tests. */
#include "kernel/types.h"

extern u8 *arch_direct_map;
u8 *arch_direct_map;

/* SPDX-License-Identifier: BSD-2-Clause */
/* `vm reload`: a VM's whole state goes out and in again, as in a migration, and the guest must not notice. */
#include "kernel/arch.h"
#include "kernel/console.h"
#include "kernel/heap.h"
#include "kernel/string.h"
#include "vmm/shell/shell_vm.h"
#include "vmm/state/state.h"

struct reload {
    struct vm *vm;
    void *first, *second; /* the state, before and after */
    u64 size, size_again;
};

static enum err save(struct vm *vm, void *to, u64 *size, struct why *why)
{
    enum err e;

    *size = vm_state_size(vm);
    e = vm_state_save(vm, to, size);
    return e ? why_set(why, e, "its state cannot be saved: %s", err_name(e)) : OK;
}

/* The VM is held. From vm_renew on there is no way back but through the state. */
static enum err out_and_in(struct reload *r, struct why *why)
{
    u64 since = r->vm->stopped_ns;
    enum err e = save(r->vm, r->first, &r->size, why);

    if (e)
        return e;
    e = vm_renew(r->vm);
    if (e)
        why_set(why, e, "no memory for its vCPUs");
    if (!e)
        e = vm_state_load(r->vm, r->first, r->size, 0, why);
    if (!e)
        e = save(r->vm, r->second, &r->size_again, why);
    if (!e && (r->size != r->size_again || memcmp(r->first, r->second, r->size) != 0))
        e = why_set(why, E_FORMAT, "its state is another one after it was loaded");
    if (!e) /* the same again, and now time goes on */
        e = vm_state_load(r->vm, r->first, r->size, time_now() - since, why);
    if (e)
        vm_fail(r->vm, "%s", why->text);
    return e;
}

static enum err reload(struct reload *r, u64 *stood, struct why *why)
{
    u64 begin = time_now();
    enum err e = vm_hold(r->vm, why);

    if (e)
        return e;
    e = out_and_in(r, why);
    vm_release(r->vm);
    *stood = time_now() - begin;
    return e;
}

static enum err run_reload(unsigned argc, char **argv, struct why *why)
{
    struct reload r = {0};
    u64 stood = 0;
    enum err e = vm_claim(&r.vm, argv[0], why);

    (void)argc;
    if (e)
        return e;
    r.first = heap_alloc(vm_state_size(r.vm));
    r.second = heap_alloc(vm_state_size(r.vm));
    if (r.first && r.second)
        e = reload(&r, &stood, why);
    else
        e = why_set(why, E_NOMEM, "no memory for its state");
    heap_free(r.first);
    heap_free(r.second);
    vm_unclaim(r.vm);
    if (!e)
        console_printf("%s goes on from %llu bytes of state; it stood still for %llu us.\n",
                       argv[0], (unsigned long long)r.size, (unsigned long long)stood / 1000);
    return e;
}
SHELL_COMMAND(
    vm_reload, .name = "vm reload", .args = "NAME", .min = 1, .max = 1, .run = run_reload,
    .help = "save a VM's state, make it anew, load it again", .complete = {shell_complete_vm},
    .more =
        "Tries on this host what happens to a VM that moves to another one: it stops, its state is "
        "saved, its virtual CPUs and devices are thrown away and made anew, the state is checked "
        "and loaded, saved and compared, and the VM goes on. Its memory stays where it is.");

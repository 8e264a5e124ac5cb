/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine and its vCPUs: what they consist of, and what can be done to them.
 *
 * Each vCPU is a kernel thread. Device models, the VM's state and its clock are guarded by the VM's
 * lock; guest memory by the Pmap's. A vCPU's registers belong to its thread; others may look at them
 * while the VM is not running. */
#pragma once
#include "kernel/config.h"
#include "kernel/rate.h"
#include "kernel/thread.h"
#include "vmm/console.h"
#include "vmm/cpuid.h"
#include "vmm/dev/platform.h"
#include "vmm/guest_clock.h"
#include "vmm/memory/pmap.h"

enum vm_state {
    VM_OFF, /* no memory, no devices: made, or powered off, or stopped */
    VM_RUNNING,
    VM_PAUSED,    /* by the user; time stands still for the guest */
    VM_FAILED,    /* it did something that no machine survives: see reason */
    VM_RESETTING, /* between the guest's reboot and its next start */
    VM_INCOMING,  /* it comes from another host, or its state does: transit.c */
    VM_MOVING,    /* it stands still to be handed to another host: transit.c */
    VM_DYING,     /* its threads are ending */
    VM_STATE_COUNT
};
extern const char *const vm_state_name[VM_STATE_COUNT];

/* What a vCPU does while the VM runs. */
enum vcpu_activity { VCPU_ACTIVE, VCPU_HALTED, VCPU_WAIT_SIPI };
extern const char *const vcpu_activity_name[];

struct vcpu {
    struct hvm_vcpu hvm;
    struct vm *vm;
    u32 index;
    struct thread *thread; /* the same for as long as the VM is there, also when it has ended */
    enum vcpu_activity activity;
    u32 kicked;                   /* something is new: look before entering the guest */
    u32 in_guest;                 /* may be in the guest, on hvm.cpu: an interrupt gets it out */
    struct pmap_waiter page_wait; /* it sleeps until a page has come */
    bool parked;                  /* its thread waits for the VM to run */
    struct timer timer;           /* of its local APIC; vCPU 0's also of the VM's devices */
    u64 tsc_adjust;               /* what the guest added to its TSC by writing it */
    u64 kvmclock;                 /* guest address of its clock page, with bit 0: enabled */
    u64 slept;                    /* when it last slept because its VM is slowed down */
    u64 wall_at;                  /* guest address where it last wanted the wall clock */
    bool clock_due, wall_due;     /* they are to be written before the guest runs */
    u64 exit_count[EXIT_KIND_COUNT];
    u64 exit_cycles[EXIT_KIND_COUNT];
    /* Of the latest entry into the guest: its RIP, and what was delivered. */
    u64 entered_at;
    struct hvm_event entered_with;
};

/* Something odd that a guest did. */
struct vm_odd {
    const char *what;
    u64 key;
};
#define VM_MAX_ODD 64

struct vm {
    struct list link;
    u16 id; /* 1 and up, unique while it exists */
    struct config_vm config;
    struct lock lock;
    enum vm_state state;
    enum vm_state held_in; /* while it is moving: what it did before, VM_RUNNING or VM_PAUSED */
    bool starting;         /* vm_start is at work */
    bool claimed;          /* some activity needs it to stay: vm_claim */
    bool starved;          /* paused because the host has no memory left for it */
    u32 slowed; /* percent of the time that its vCPUs do not run: it writes faster than it can be moved */
    char reason[160]; /* why it is in that state, a sentence; or empty */
    struct pmap pmap;
    struct platform platform;
    struct cpuid_policy cpuid;
    struct vm_console console;
    struct vcpu vcpu[VM_MAX_VCPUS];
    u32 threads; /* that have not ended */
    /* Guest time is host time less ns_offset, and stands still at stopped_ns while it does not run. A guest may be older
     * than its host: then ns_offset is negative, as two's complement. */
    u64 ns_offset, stopped_ns;
    u64 tsc_offset, stopped_tsc;
    struct guest_clock clock;           /* what kvmclock tells it */
    u64 wall_clock;                     /* seconds since 1970 at guest time 0 */
    u64 resets, resets_said;            /* of its own will; up to the last line of the log */
    struct rate reset_rate, reset_line; /* how often it may, and how often the log says so */
    u64 starved_at;                     /* ns; when it was last paused for want of memory */
    u64 fed_at;                         /* ns; when it last went on after that */
    struct vm_odd odd[VM_MAX_ODD];      /* what was said once: see vm_log_once */
    u32 odd_count;
};

/* --- for the shell and for start-up ---------------------------------------------------------- */

/* Makes a VM that is off. E_EXIST, E_NOMEM, E_UNSUPPORTED, E_RANGE. */
enum err vm_create(struct vm **vm, const struct config_vm *config, struct why *why) MUST_CHECK;
/* Loads its kernel and runs it; for one that is off or failed. What vm_may_start refuses is refused. */
enum err vm_start(struct vm *vm, struct why *why) MUST_CHECK;
/* Whether no other host has a VM of that name; NULL: there are no others. E_AGAIN: that is not known yet, they are asked. */
extern enum err (*vm_may_start)(const char *name, struct why *why);
enum err vm_pause(struct vm *vm, struct why *why) MUST_CHECK;
enum err vm_resume(struct vm *vm, struct why *why) MUST_CHECK;
/* Turns it off as the power switch does. */
enum err vm_stop(struct vm *vm, struct why *why) MUST_CHECK;
/* Stops it and frees it. E_STATE while it is claimed, or in transit. */
enum err vm_destroy(struct vm *vm, struct why *why) MUST_CHECK;
/* For the shell, whose pointer is good until its command is done (vm_end.c); other threads claim or query. */
struct vm *vm_find(const char *name);
/* Is there one of that name? Then what it is; config may be NULL. Any thread. */
bool vm_query(const char *name, struct config_vm *config, enum vm_state *state);
/* The VMs in the order in which they were made; index from 0; NULL behind the last. */
struct vm *vm_at(unsigned index);

/* --- in transit from host to host: transit.c. Any thread; these may sleep ---------------------- */

/* Finds a VM and sees to it that it stays until vm_unclaim. E_NOENT; E_STATE: it is claimed already. */
enum err vm_claim(struct vm **vm, const char *name, struct why *why) MUST_CHECK;
void vm_unclaim(struct vm *vm);
/* Stops a running or paused VM for a hand-off: within milliseconds all vCPUs are parked, also those that slept until a
 * page came; their accesses have not happened and are made again later. It is `moving` then, which the user cannot
 * change, and its state can be saved. E_STATE: it is in another state, or fails meanwhile; why says so. */
enum err vm_hold(struct vm *vm, struct why *why) MUST_CHECK;
/* It stays here after all, and goes on as before vm_hold. Its clocks show the time that has passed, unless it was
 * paused. */
void vm_release(struct vm *vm);
/* Makes a VM that is to come from another host: no image is loaded, and its memory is empty. cpuid is what it was given
 * there; this host must be able to give the same. It is claimed. As vm_create; E_NOMEM also if its memory does not fit,
 * E_UNSUPPORTED with the first feature that is missing. Its memory may then be filled, and vm_state_load be called. */
enum err vm_create_incoming(struct vm **vm, const struct config_vm *config,
                            const struct cpuid_policy *cpuid, struct why *why) MUST_CHECK;
/* Makes the vCPUs and devices of a VM that is held anew: nothing of its state is left but its memory, and it needs
 * vm_state_load. E_NOMEM: there are none now, and all that it can do is to fail. */
enum err vm_renew(struct vm *vm) MUST_CHECK;
/* After vm_state_load: it runs here, or is paused if it was. */
void vm_arrive(struct vm *vm);
/* Ends a VM that is moving or incoming: it runs elsewhere, or nowhere. Its frames that have other users stay with
 * these. Releases the claim. The pointer is good no more. */
void vm_depart(struct vm *vm);
/* May a VM with that CPUID run on this host? Calls missing() with each thing that it lacks, in words: "AVX2 (CPUID 7
 * EBX bit 5)". E_UNSUPPORTED if there was any. */
enum err vm_cpuid_compatible(const struct cpuid_policy *cpuid,
                             void (*missing)(void *ctx, const char *what), void *ctx) MUST_CHECK;

/* --- for the parts of a VM -------------------------------------------------------------------- */

/* Guest time now, with the TSC of that vCPU. For its own thread, or with the lock held. */
struct vtime vcpu_time(const struct vcpu *v);
/* The host's time at that guest time, which may be VTIME_NEVER: U64_MAX. What lies before the host's boot is 0. */
u64 vm_host_time(const struct vm *vm, u64 guest_ns);
/* The VM ends here, and says why; for its vCPUs. */
void vm_fail(struct vm *vm, const char *format, ...) PRINTF_LIKE(2, 3);
/* Pauses the VM because the host has no frame left for its page there; vm_feed lets it go on. For its vCPUs. */
void vm_starve(struct vm *vm, gpa_t gpa);
/* Memory was freed: lets starved VMs go on, if there is enough. */
void vm_feed(void);
/* A VM that is off has no memory. */
void vm_release_memory(struct vm *vm);
/* Acts on what a device access has changed: kicks vCPUs, sets timers, powers off. The lock is held
 * on entry, and released. */
void vm_unlock_devices(struct vm *vm);
/* The first time that a guest does something odd. */
void vm_log_once(struct vm *vm, const char *what, u64 key);

/* Has every vCPU left its guest, and its CPU? */
static inline bool vm_all_parked(const struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        if (!__atomic_load_n(&vm->vcpu[i].parked, __ATOMIC_ACQUIRE))
            return false;
    return true;
}
/* Waits for it; E_TIMEOUT after 10 s. */
enum err vm_wait_parked(struct vm *vm, struct why *why) MUST_CHECK;
/* Has all vCPUs look at the VM's state. */
void vm_kick_all(struct vm *vm);
/* From running to a state in which no vCPU runs; the lock is held. */
void vm_leave_running(struct vm *vm, enum vm_state state);
/* Makes a VM in that state; with the given CPUID, or with what this host has to give if that is NULL. */
enum err vm_make(struct vm **vm, const struct config_vm *config, enum vm_state state,
                 const struct cpuid_policy *cpuid, struct why *why) MUST_CHECK;
/* Is there memory for it? E_NOMEM. */
enum err vm_admit(const struct vm *vm, struct why *why) MUST_CHECK;
/* Takes it from the list; the latter only if nobody has claimed or is starting it, E_STATE, and it is dying then. */
void vm_unlink(struct vm *vm);
enum err vm_unlink_idle(struct vm *vm, struct why *why) MUST_CHECK;
/* vm_end.c: ends its threads and frees everything but *vm itself and what can be kicked; then that, too. */
void vm_tear_down(struct vm *vm);
void vm_free(struct vm *vm);
/* When the shell has no pointer: frees all that was destroyed. */
void vm_free_ended(void);
/* vm_time.c, with the lock held: guest time stands still, or goes on from where it stood, or is that from now on. */
void vm_time_stop(struct vm *vm);
void vm_time_go(struct vm *vm);
void vm_set_time(struct vm *vm, u64 ns, u64 tsc);
/* Makes the vCPU look at what is new, wherever it is. */
void vcpu_kick(struct vcpu *v);
/* Can this vCPU use no translation from before that generation of its second-level page table? */
static inline bool vcpu_is_flushed(const struct vcpu *v, u64 generation)
{
    return !__atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST) ||
           __atomic_load_n(&v->hvm.slat_generation, __ATOMIC_ACQUIRE) >= generation;
}
/* A vCPU's thread (vcpu.c), its exits (exits.c), and where it starts (start.c). */
enum err vcpu_create(struct vm *vm, u32 index) MUST_CHECK;
void vcpu_destroy(struct vcpu *v);
/* Makes its virtual CPU anew, as after vcpu_create. Its thread is parked. E_NOMEM: there is none now. */
enum err vcpu_renew(struct vcpu *v) MUST_CHECK;
void vcpu_handle_exit(struct vcpu *v, const struct hvm_exit *exit);
const char *vcpu_exit_name(enum hvm_exit_kind kind);
/* Passes on what an access to guest memory returned, and acts on it: E_NOMEM starves the VM, other errors but E_RANGE and
 * E_STATE stop it. The instruction is not done, and runs again if the VM does. */
enum err vcpu_memory(struct vcpu *v, gpa_t gpa, enum err e);
void vcpu_raise(struct vcpu *v, u8 vector, bool has_code, u32 code);
void vcpu_start_at(struct vcpu *v, u8 sipi_vector);
void vcpu_reset_state(struct hvm_state *s);
enum err vm_load(struct vm *vm, struct hvm_state *boot, struct why *why) MUST_CHECK;
/* Brings the VM from its devices' reset to its first instruction. No vCPU runs. */
enum err vm_boot(struct vm *vm, struct why *why) MUST_CHECK;
/* Lets it run, if it still is in the state that the caller left it in. */
void vm_run(struct vm *vm, enum vm_state from);

/* mmio.c: the instruction at RIP touches an address without RAM. */
void mmio_emulate(struct vcpu *v, gpa_t gpa);
/* Reads the instruction at RIP; the number of bytes, 0 after an exception was raised. */
unsigned vcpu_fetch(struct vcpu *v, const struct hvm_mode *m, u8 bytes[15]);
/* mmio.c: string forms of IN and OUT, a bounded number of iterations. */
void io_string(struct vcpu *v, const struct hvm_exit *exit);

/* msr.c; false: #GP */
bool msr_read_guest(struct vcpu *v, u32 msr, u64 *value);
bool msr_write_guest(struct vcpu *v, u32 msr, u64 value);
/* kvmclock.c: writes what is due of the guest's clocks; for the vCPU's thread. As vcpu_memory. */
enum err kvmclock_update(struct vcpu *v) MUST_CHECK;
/* Has that done before the guest runs again. */
static inline void kvmclock_due(struct vcpu *v)
{
    v->clock_due = true;
    v->kicked = 1;
}
bool kvmclock_set(struct vcpu *v, u64 value);
bool kvmclock_set_wall(struct vcpu *v, u64 value);

/* SPDX-License-Identifier: BSD-2-Clause */
/* The hand-off of a VM, as migrate/outgoing.c, incoming.c, agent.c and peer.c do it: one migration from host S to host T,
 * from the last round on. Links break and come back at any moment, either side may cancel, and either host may lose its
 * power and start again with a new incarnation; each so many times. The pages themselves are the simulator's.
 *
 * A link is a pair of queues. When it breaks, what is sent is lost, each end notices when it likes and takes what is in
 * its queue until then. It comes back as the hello does it: the host that begins must have noticed; the one that answers is
 * up first, and what it says waits for the other.
 *
 * Every run ends (no cycle), and when nothing more can happen, init looks at what became of the VM. A symbol WRONG_... makes
 * one deliberate defect, which must be refuted: see tests/model/check. */

#ifndef BREAKS
#define BREAKS 3
#endif
#ifndef RESTARTS
#define RESTARTS 2 /* of each host */
#endif
#define CANCELS 1 /* of each host */

mtype = { FINAL, READY, RUN, RUNNING, ABORT, DENY };
mtype = { NONE, COPYING, STOPPED, CLOSING, FINAL_SAID, COMMITTED, DONE, ABORTED, LOST };

chan to_t = [6] of { mtype };
chan to_s = [6] of { mtype };

mtype s = COPYING, t = COPYING; /* phases; NONE: after a restart */
bool s_runs = true, t_runs;
bool s_up = true, t_up = true;  /* as each sees it */
bool broken;                    /* the link is, whether they know it or not */
bool pending;                   /* the answerer is up, the beginner has not heard it yet */
bool s_dead, t_dead;            /* no power */
byte s_boot = 1, t_boot = 1;    /* incarnations */
byte s_met = 1, t_met = 1;      /* the other's, met last; 0: none */
byte breaks, s_restarts, t_restarts, s_cancels, t_cancels;
bool repeated;                  /* RUN, by its timer, over this link: once is enough, as nothing is lost within a link */
bool calm;                      /* nothing fails any more */
bool committed, said_lost, died, resumed;

/* Chosen before anything happens. */
bool s_begins; /* its name comes first */
bool shares;   /* pages stay at S, in slots */

inline send_to_t(m)
{
    if
    :: s_up && !broken -> assert(nfull(to_t)); to_t!m
    :: else
    fi
}

inline send_to_s(m)
{
    if
    :: t_up && !broken -> assert(nfull(to_s)); to_s!m
    :: else
    fi
}

inline empty_queue(q)
{
    do
    :: nempty(q) -> q?_
    :: empty(q) -> break
    od
}

/* --- source: outgoing.c -------------------------------------------------------------------------- */

inline s_abort()
{
    if
    :: s == COPYING || s == STOPPED || s == FINAL_SAID ->
        resumed = resumed || s == FINAL_SAID;
        assert(!committed); /* a source never resumes after COMMIT */
        s_runs = true;
        s = ABORTED;
        assert(!t_runs);
        send_to_t(ABORT)
    :: else
    fi
}

inline s_commit()
{
    s = COMMITTED;
    committed = true;
    send_to_t(RUN)
}

inline s_message(m)
{
    if
    :: m == ABORT -> s_abort()
#ifdef WRONG_COMMIT_AFTER_ABORT
    :: m == READY && (s == FINAL_SAID || s == ABORTED) -> s_commit()
    :: m == READY && s == NONE -> send_to_t(DENY)
#else
    :: m == READY && s == FINAL_SAID -> s_commit()
#ifndef WRONG_NO_DENY
    :: m == READY && (s == NONE || s == ABORTED) -> send_to_t(DENY)
#endif
#endif
    :: m == RUNNING && s == COMMITTED -> s = DONE
    :: else
    fi
}

inline s_link_down()
{
    s_up = false;
    empty_queue(to_s);
#ifdef WRONG_RESUME_AFTER_COMMIT
    if
    :: s == COMMITTED -> s = FINAL_SAID; committed = false
    :: else
    fi;
#endif
    s_abort()
}

inline s_link_up()
{
    s_up = true;
    repeated = false;
    if
#ifndef WRONG_TARGET_BOOT_UNSEEN
    :: s == COMMITTED && s_met != 0 && s_met != t_boot -> s = LOST; said_lost = true
#endif
    :: else
    fi;
    s_met = t_boot;
#ifndef WRONG_RUN_NOT_REPEATED
    if
    :: s == COMMITTED -> send_to_t(RUN)
    :: else
    fi
#endif
}

/* --- target: incoming.c -------------------------------------------------------------------------- */

inline t_abort()
{
    if
    :: t == COPYING || t == CLOSING || t == FINAL_SAID ->
        t = ABORTED;
        send_to_s(ABORT)
    :: else
    fi
}

inline t_run()
{
    assert(!s_runs); /* at most one host runs it */
    t = DONE;
    t_runs = true
}

/* The source has a new incarnation, or is off, says the operator. */
inline t_run_alone()
{
#ifndef WRONG_RUN_WITHOUT_PAGES
    if
    :: shares -> t = LOST; said_lost = true
    :: else ->
#endif
        assert(!shares); /* it would run without the pages that were lent */
#ifdef NEVER_AN_OLD_STATE /* refuted too: S may have gone on before it died, and T cannot know */
        assert(!resumed);
#endif
        t_run()
#ifndef WRONG_RUN_WITHOUT_PAGES
    fi
#endif
}

inline t_message(m)
{
    if
    :: m == FINAL && t == COPYING -> t = CLOSING
    :: m == ABORT || m == DENY -> t_abort()
    :: m == RUN ->
        if
        :: t == FINAL_SAID -> t_run()
        :: else
        fi;
        if
        :: t == DONE -> send_to_s(RUNNING)
        :: else
        fi
    :: else
    fi
}

inline t_link_down()
{
    t_up = false;
    empty_queue(to_t);
    if
    :: t == COPYING || t == CLOSING -> t_abort()
#ifdef WRONG_RUN_IN_DOUBT
    :: t == FINAL_SAID -> t_run()
#endif
    :: else
    fi
}

inline t_link_up()
{
    t_up = true;
    if
#ifdef WRONG_SOURCE_BOOT_UNCHECKED
    :: t == FINAL_SAID -> t_run_alone()
#else
    :: t == FINAL_SAID && t_met == s_boot ->
#ifndef WRONG_READY_NOT_REPEATED
        send_to_s(READY)
#else
        skip
#endif
    :: t == FINAL_SAID && t_met != s_boot -> t_run_alone()
#endif
    :: t == DONE && t_runs && t_met != 0 && t_met != s_boot && shares ->
        if
        :: t_runs = false; said_lost = true /* pages that it still needs were lent */
        :: skip                             /* all had been fetched */
        fi
    :: else
    fi;
    t_met = s_boot
}

/* --- what may happen ------------------------------------------------------------------------------- */

proctype Source()
{
    mtype m;

end:
    do
    :: atomic { s_up && nempty(to_s) -> to_s?m; s_message(m) }
    :: atomic { s == COPYING && s_up -> s_runs = false; s = STOPPED }
    :: atomic { s == STOPPED && s_up -> s = FINAL_SAID; send_to_t(FINAL) }
#ifndef WRONG_RUN_NOT_REPEATED
    :: atomic { s == COMMITTED && s_up && !repeated -> repeated = true; send_to_t(RUN) }
#endif
    /* Its patience ends, or the user's. */
    :: atomic { !calm && s_cancels < CANCELS && (s == COPYING || s == STOPPED || s == FINAL_SAID) ->
                s_cancels++; s_abort() }
    od
}

proctype Target()
{
    mtype m;

end:
    do
    :: atomic { t_up && nempty(to_t) -> to_t?m; t_message(m) }
    :: atomic { t == CLOSING -> t = FINAL_SAID; send_to_s(READY) }
    /* It cannot have the VM after all, or the user does not want it any more. */
    :: atomic { !calm && t_cancels < CANCELS && (t == COPYING || t == CLOSING
#ifdef WRONG_CANCEL_AFTER_READY
                || t == FINAL_SAID
#endif
                ) -> t_cancels++; t_abort() }
    /* The operator's word, which is true. */
    :: atomic { t == FINAL_SAID && !t_up && s_dead -> t_run_alone() }
    od
}

proctype Link()
{
end:
    do
    :: atomic { !calm && !broken && breaks < BREAKS -> broken = true; breaks++ }
    :: atomic { broken && s_up -> s_link_down() }
    :: atomic { broken && t_up -> t_link_down() }
    /* open comes: what the answerer had is dropped */
    :: atomic { broken && s_begins && !s_up && !s_dead && !t_dead ->
                if :: t_up -> t_link_down() :: else fi;
                empty_queue(to_t); empty_queue(to_s);
                broken = false; pending = true; t_link_up() }
    :: atomic { broken && !s_begins && !t_up && !s_dead && !t_dead ->
                if :: s_up -> s_link_down() :: else fi;
                empty_queue(to_t); empty_queue(to_s);
                broken = false; pending = true; s_link_up() }
    /* accept comes */
    :: atomic { pending && !broken && s_begins && !s_up -> pending = false; s_link_up() }
    :: atomic { pending && !broken && !s_begins && !t_up -> pending = false; t_link_up() }
    od
}

proctype Power()
{
end:
    do
    :: !calm -> calm = true
    :: atomic { !calm && !s_dead && s_restarts < RESTARTS ->
                s_restarts++; s_dead = true; s_up = false; broken = true; empty_queue(to_s);
                died = died || s != DONE; s = NONE; s_runs = false; s_met = 0 }
    :: atomic { s_dead -> s_dead = false; s_boot++ }
    :: atomic { !calm && !t_dead && t_restarts < RESTARTS ->
                t_restarts++; t_dead = true; t_up = false; broken = true; empty_queue(to_t);
                died = died || t_runs || t == FINAL_SAID; t = NONE; t_runs = false; t_met = 0 }
    :: atomic { t_dead -> t_dead = false; t_boot++ }
    od
}

/* --- what must have become of it ------------------------------------------------------------------- */

init
{
    atomic {
        if :: s_begins = true :: s_begins = false fi;
        if :: shares = true :: shares = false fi;
        run Source(); run Target(); run Link(); run Power()
    };
    atomic {
        timeout ->
        assert(s_up && t_up && !broken);
        assert(!(s_runs && t_runs));
        assert(t == DONE || t == ABORTED || t == LOST || t == NONE); /* nobody is in doubt */
        assert(s == DONE || s == ABORTED || s == LOST || s == NONE);
        if
        :: !s_restarts && !t_restarts -> /* nothing was lost: exactly one, and both agree which */
            assert(!said_lost);
            assert(s_runs == (s == ABORTED) && t_runs == (t == DONE));
            assert(s_runs != t_runs)
        :: else -> /* it runs, or somebody says that it is lost, or it went with its host */
            assert(s_runs || t_runs || said_lost || died);
            assert(!(said_lost && (s_runs || t_runs)))
        fi;
        if
        :: !s_restarts -> assert(s_runs || t_runs || t_restarts)
        :: else
        fi;
        if
        :: s == COMMITTED || s == LOST -> assert(t_restarts)
        :: else
        fi
    }
}

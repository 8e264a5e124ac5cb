/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may start a VM, as migrate/holder.c does it: three hosts, on the first of which it runs. The others may
 * want to start it, each may move it to another one, and one may lose its power and start again. The hand-off of a move is one step here; it is proved in handoff.pml.
 *
 * Time is only an order: a round ends when it likes, and a denial binds until the round that asked for it has ended (there,
 * as BINDS > ROUND). Messages take as long as they like, or are lost. The operator says that a host is off when it is, and
 * the word is forgotten before that host is up again (there, after a minute). A symbol WRONG_... makes one deliberate
 * defect: see tests/model/check. */

#ifndef ROUNDS
#define ROUNDS 2 /* of each host */
#endif
#ifndef MOVES
#define MOVES 2
#endif
#ifndef RESTARTS
#define RESTARTS 1 /* in all */
#endif
#define NOBODY 3

mtype = { NONE, ASKING, GRANTED }; /* a claim */
mtype = { DENIES, HAS_IT };

#define PAIR(a, b) ((a) * 3 + (b))
#define MASK(h)    (1 << (h))

/* Messages on their way, by PAIR(from, to): the round that they are of; 0: none. */
byte ask[9], answer[9];
bit ask_binds[9];
mtype answer_is[9];

bool has[3], runs[3], dead[3];
bool young[3];           /* does not know what it has denied before its boot */
mtype claim[3] = NONE;
byte round[3], denied[3], off[3];
bool live[3], binds[3], complete[3];
byte bound[9], before[9]; /* PAIR(who denied, who asked): the round; 0: not bound. Before its boot */
byte from = NOBODY, to = NOBODY; /* a move */
bool handed_over;
byte moves, restarts;

/* --- the defects --------------------------------------------------------------------------------------------- */

#define IS_BOUND_BUT(h, but) ((bound[PAIR(h, 0)] && but != 0) || (bound[PAIR(h, 1)] && but != 1) || \
                              (bound[PAIR(h, 2)] && but != 2))
#ifndef WRONG_BOUND_HOST_STARTS_IT
#define MAY_START(h) (!IS_BOUND_BUT(h, NOBODY))
#else
#define MAY_START(h) true
#endif
#ifndef WRONG_ROUNDS_DO_NOT_BIND
#define IS_LAST(h) (binds[h])
#else
#define IS_LAST(h) true
#endif
#ifndef WRONG_DENIALS_OF_EARLIER_ROUNDS_COUNT
#define FORGET_DENIALS(h)  denied[h] = 0
#define IS_OF_ROUND(h, r) (round[h] == r)
#else
#define FORGET_DENIALS(h)  skip
#define IS_OF_ROUND(h, r) true
#endif
#ifndef WRONG_CLAIM_STAYS
#define NOW_IT_RUNS(h)     end_claim(h)
#else
#define NOW_IT_RUNS(h)     skip
#endif
#ifndef WRONG_NEW_BOOT_TAKES_OFFERS
#define IS_YOUNG(h) (young[h])
#else
#define IS_YOUNG(h) false
#endif
#ifndef WRONG_WORD_LASTS
#define FORGET_WORD(h) off[0] = off[0] & ~MASK(h); off[1] = off[1] & ~MASK(h); off[2] = off[2] & ~MASK(h)
#else
#define FORGET_WORD(h) skip
#endif
#ifndef WRONG_ONE_DENIAL_IS_ENOUGH
#define ALL_DENY(h) (((denied[h] | off[h] | MASK(h)) & 7) == 7)
#else
#define ALL_DENY(h) (denied[h] | off[h])
#endif

#define LIVES(h, r) (live[h] && round[h] == r)
#define CHECK       assert(runs[0] + runs[1] + runs[2] <= 1)

/* --- who wants to start it --------------------------------------------------------------------------------- */

inline end_claim(h)
{
    claim[h] = NONE; live[h] = false; complete[h] = false; binds[h] = false; denied[h] = 0; off[h] = 0
}

inline try_grant(h)
{
    if
    :: claim[h] == ASKING && live[h] && !complete[h] && ALL_DENY(h) && MAY_START(h) ->
        complete[h] = true;
        if
        :: IS_LAST(h) -> claim[h] = GRANTED
        :: else
        fi
    :: else
    fi
}

inline put_ask(h, g)
{
    if
    :: h != g && !dead[g] && !ask[PAIR(h, g)] -> ask[PAIR(h, g)] = round[h]; ask_binds[PAIR(h, g)] = binds[h]
    :: else
    fi
}

inline begin_round(h)
{
    round[h]++;
    binds[h] = complete[h];
    complete[h] = false;
    live[h] = true;
    FORGET_DENIALS(h);
    put_ask(h, 0); put_ask(h, 1); put_ask(h, 2);
    try_grant(h)
}

inline take_answer(h, g)
{
    if
    :: claim[h] == ASKING && IS_OF_ROUND(h, answer[PAIR(g, h)]) ->
        if
        :: answer_is[PAIR(g, h)] == HAS_IT -> end_claim(h)
        :: else -> denied[h] = denied[h] | MASK(g); try_grant(h)
        fi
    :: else
    fi;
    answer[PAIR(g, h)] = 0; answer_is[PAIR(g, h)] = 0
}

/* --- who is asked -------------------------------------------------------------------------------------------- */

inline give_answer(h, g)
{
    if
    :: has[h] || claim[h] == GRANTED -> answer[PAIR(h, g)] = ask[PAIR(g, h)]; answer_is[PAIR(h, g)] = HAS_IT
    :: !has[h] && claim[h] == ASKING && ((denied[h] & MASK(g)) || h < g) -> skip /* it asks, too: no denial */
    :: else ->
        answer[PAIR(h, g)] = ask[PAIR(g, h)]; answer_is[PAIR(h, g)] = DENIES;
        if
        :: ask_binds[PAIR(g, h)] -> bound[PAIR(h, g)] = ask[PAIR(g, h)]
        :: else
        fi
    fi;
    ask[PAIR(g, h)] = 0; ask_binds[PAIR(g, h)] = 0
}

#define FORGETTABLE(h, g) (!before[PAIR(h, g)] || !LIVES(g, before[PAIR(h, g)]))

proctype Host(byte h)
{
end:
    do
    /* It wants to start the VM; a round ends, by time; the next one; it is given up. */
    :: atomic { h && !dead[h] && !has[h] && claim[h] == NONE && round[h] < ROUNDS -> claim[h] = ASKING; begin_round(h) }
    :: atomic { live[h] && claim[h] != GRANTED -> live[h] = false }
    :: atomic { claim[h] == GRANTED && live[h] -> live[h] = false }
    :: atomic { claim[h] == ASKING && (complete[h] || !live[h]) && round[h] < ROUNDS -> begin_round(h) }
    :: atomic { claim[h] == ASKING && !live[h] -> end_claim(h) }
    /* Granted: it runs, or it does not come to that. */
    :: atomic { claim[h] == GRANTED && !has[h] -> has[h] = true; runs[h] = true; CHECK; NOW_IT_RUNS(h) }
    :: atomic { claim[h] == GRANTED && !has[h] -> end_claim(h) }
    /* What it said binds it no more: the round is over. */
    :: atomic { bound[PAIR(h, 0)] && !LIVES(0, bound[PAIR(h, 0)]) -> bound[PAIR(h, 0)] = 0 }
    :: atomic { bound[PAIR(h, 1)] && !LIVES(1, bound[PAIR(h, 1)]) -> bound[PAIR(h, 1)] = 0 }
    :: atomic { bound[PAIR(h, 2)] && !LIVES(2, bound[PAIR(h, 2)]) -> bound[PAIR(h, 2)] = 0 }
    :: atomic { young[h] && FORGETTABLE(h, 0) && FORGETTABLE(h, 1) && FORGETTABLE(h, 2) ->
                young[h] = false; before[PAIR(h, 0)] = 0; before[PAIR(h, 1)] = 0; before[PAIR(h, 2)] = 0 }
    /* Messages come. */
    :: atomic { !dead[h] && ask[PAIR(0, h)] && !answer[PAIR(h, 0)] -> give_answer(h, 0) }
    :: atomic { !dead[h] && ask[PAIR(1, h)] && !answer[PAIR(h, 1)] -> give_answer(h, 1) }
    :: atomic { !dead[h] && ask[PAIR(2, h)] && !answer[PAIR(h, 2)] -> give_answer(h, 2) }
    :: atomic { !dead[h] && answer[PAIR(0, h)] -> take_answer(h, 0) }
    :: atomic { !dead[h] && answer[PAIR(1, h)] -> take_answer(h, 1) }
    :: atomic { !dead[h] && answer[PAIR(2, h)] -> take_answer(h, 2) }
    od
}

/* --- moves and power ------------------------------------------------------------------------------------------- */

#define MAY_MOVE(a, b) (from == NOBODY && moves < MOVES && runs[a] && !dead[b] && !has[b] && claim[b] == NONE && \
                        !IS_BOUND_BUT(b, a) && !IS_YOUNG(b))

inline move(a, b)
{
    bound[PAIR(b, a)] = 0;
    moves++; from = a; to = b; has[b] = true; handed_over = false
}

inline end_move()
{
    from = NOBODY; to = NOBODY; handed_over = false
}

inline lose_messages(h, g)
{
    ask[PAIR(h, g)] = 0; ask_binds[PAIR(h, g)] = 0; answer[PAIR(h, g)] = 0; answer_is[PAIR(h, g)] = 0;
    ask[PAIR(g, h)] = 0; ask_binds[PAIR(g, h)] = 0; answer[PAIR(g, h)] = 0; answer_is[PAIR(g, h)] = 0
}

inline forget_bound(h, g)
{
    if
    :: bound[PAIR(h, g)] -> before[PAIR(h, g)] = bound[PAIR(h, g)]; bound[PAIR(h, g)] = 0
    :: else
    fi
}

inline die(h)
{
    restarts++;
    dead[h] = true; young[h] = true;
    has[h] = false; runs[h] = false;
    end_claim(h);
    forget_bound(h, 0); forget_bound(h, 1); forget_bound(h, 2);
    lose_messages(h, 0); lose_messages(h, 1); lose_messages(h, 2);
    if
    :: h == from && !handed_over -> runs[to] = true; CHECK; end_move() /* the target hears that the source is gone */
    :: h == from && handed_over -> end_move()
    :: h == to && handed_over -> has[from] = false; end_move() /* it is lost, and the source hears it */
    :: h == to && !handed_over -> end_move()
    :: else
    fi
}

#define MAY_DIE(h) (restarts < RESTARTS && !dead[h])

proctype World()
{
end:
    do
    :: atomic { MAY_MOVE(0, 1) -> move(0, 1) }
    :: atomic { MAY_MOVE(0, 2) -> move(0, 2) }
    :: atomic { MAY_MOVE(1, 0) -> move(1, 0) }
    :: atomic { MAY_MOVE(1, 2) -> move(1, 2) }
    :: atomic { MAY_MOVE(2, 0) -> move(2, 0) }
    :: atomic { MAY_MOVE(2, 1) -> move(2, 1) }
    :: atomic { from != NOBODY && !handed_over -> has[to] = false; end_move() }
    :: atomic { from != NOBODY && !handed_over -> runs[from] = false; runs[to] = true; handed_over = true; CHECK }
    :: atomic { from != NOBODY && handed_over -> has[from] = false; end_move() }
    :: atomic { MAY_DIE(0) -> die(0) }
    :: atomic { MAY_DIE(1) -> die(1) }
    :: atomic { MAY_DIE(2) -> die(2) }
    :: atomic { dead[0] -> FORGET_WORD(0); dead[0] = false }
    :: atomic { dead[1] -> FORGET_WORD(1); dead[1] = false }
    :: atomic { dead[2] -> FORGET_WORD(2); dead[2] = false }
    /* Links break. */
    :: atomic { ask[PAIR(0, 1)] || ask[PAIR(1, 0)] || answer[PAIR(0, 1)] || answer[PAIR(1, 0)] -> lose_messages(0, 1) }
    :: atomic { ask[PAIR(0, 2)] || ask[PAIR(2, 0)] || answer[PAIR(0, 2)] || answer[PAIR(2, 0)] -> lose_messages(0, 2) }
    :: atomic { ask[PAIR(1, 2)] || ask[PAIR(2, 1)] || answer[PAIR(1, 2)] || answer[PAIR(2, 1)] -> lose_messages(1, 2) }
    od
}

/* The operator's word, which is true. */
#define MAY_SAY(h, g) (dead[h] && claim[g] == ASKING && !(off[g] & MASK(h)))

proctype Operator()
{
end:
    do
    :: atomic { MAY_SAY(0, 1) -> off[1] = off[1] | 1; try_grant(1) }
    :: atomic { MAY_SAY(0, 2) -> off[2] = off[2] | 1; try_grant(2) }
    :: atomic { MAY_SAY(1, 0) -> off[0] = off[0] | 2; try_grant(0) }
    :: atomic { MAY_SAY(1, 2) -> off[2] = off[2] | 2; try_grant(2) }
    :: atomic { MAY_SAY(2, 0) -> off[0] = off[0] | 4; try_grant(0) }
    :: atomic { MAY_SAY(2, 1) -> off[1] = off[1] | 4; try_grant(1) }
    od
}

init
{
    atomic {
        has[0] = true; runs[0] = true;
        run Host(0); run Host(1); run Host(2); run World(); run Operator()
    }
}

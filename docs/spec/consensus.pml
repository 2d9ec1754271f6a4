/* How Onward's validators vote: four of them, three honest, one liar; VIEWS views of one epoch.
 * docs/spec/consensus.md has the rules in words. `make model` checks this file, with Spin:
 *
 *     spin -a -DVIEWS=2 consensus.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * The liar is no process: it has signed everything, and shows it to whoever it likes whenever it
 * likes. So q = 3 votes exist for something as soon as two honest voters agree on it.
 *
 * Messages are not modelled: a voter may act on every certificate that exists. Each guard below
 * asks for certificates and none for their absence, so a voter who knows less, because messages
 * are late, lost or withheld, does nothing that the voters here cannot do. A vote for what has its
 * certificate is left out: it adds nothing, and only takes from what its voter may still do.
 *
 * Views 1 to VIEWS have two blocks each, 2v - 1 and 2v, on any parents; block 0 is the root. Two are
 * enough: a block needs the votes of two of the three to be notarized, so a third one could only
 * waste a vote, and not voting wastes it as well. Nobody asks who leads: liars may lead all views.
 *
 * -DIN_QUORUMS: two voters cast the same vote at once, and nobody delivers. No set of certificates
 * is lost by that: a vote that ends in a certificate can wait until the certificate is complete, for
 * what allowed it stays true, and S1 and S2 speak of pairs of votes and not of their order. To
 * deliver only forbids. This is the way to see three and four views.
 *
 * -DBREAK_S1, S2, S3, J, F take one rule away. Then a fork must be found, or this model proves
 * nothing.
 */

#ifndef VIEWS
#define VIEWS 3 /* 2, 3 or 4 */
#endif
#define BLOCKS (2 * VIEWS + 1)
#define UNKNOWN 255

byte parent[BLOCKS] = UNKNOWN; /* the parent of a block that was proposed */
byte notarize[BLOCKS];         /* per block: which of the honest voted so, a bit each */
byte finalize[BLOCKS];
byte nullify[VIEWS + 1];       /* per view */
byte floor[3];                 /* per honest voter: the view of the last block it delivered */

#define VIEW(block)      (((block) + 1) / 2)
#define QUORUM(votes)    (((votes) & 3) == 3 || ((votes) & 5) == 5 || ((votes) & 6) == 6)
#define FINALIZED(block) (QUORUM(finalize[block]))
#define NOTARIZED(block) ((block) == 0 || QUORUM(notarize[block]) || FINALIZED(block))
#define NULLIFIED(view)  (QUORUM(nullify[view]))

/* Is every view between those of two blocks nullified? (Of four views, only 1 to 3 can be.) */
#define GIVEN_UP(view, low, high) (view <= (low) || view >= (high) || NULLIFIED(view))
#if VIEWS == 2
#define ALL_BETWEEN(low, high) GIVEN_UP(1, low, high)
#elif VIEWS == 3
#define ALL_BETWEEN(low, high) (GIVEN_UP(1, low, high) && GIVEN_UP(2, low, high))
#else
#define ALL_BETWEEN(low, high) \
	(GIVEN_UP(1, low, high) && GIVEN_UP(2, low, high) && GIVEN_UP(3, low, high))
#endif

/* The rules, for the voter `me` whose bit is ME. */

#ifdef IN_QUORUMS /* two voters: all but `me` */
#define ME (7 ^ (1 << me))
#else
#define ME (1 << me)
#endif

#ifdef BREAK_S1 /* a second NOTARIZE in one view */
#define S1(view) true
#else
#define S1(view) (((notarize[2 * (view) - 1] | notarize[2 * (view)]) & ME) == 0 || FORGOT(view))
#endif

#ifdef BREAK_S2 /* FINALIZE after NULLIFY, NULLIFY after FINALIZE */
#define S2(votes, view) true
#else
#define S2(votes, view) (((votes) & ME) == 0 || FORGOT(view))
#endif

#ifdef BREAK_S3 /* vote at or below the floor, where one's votes are forgotten */
#define S3(view) true
#define FORGOT(view) ((view) <= floor[me])
#else
#define S3(view) ((view) > floor[me])
#define FORGOT(view) false
#endif

#ifdef BREAK_J /* NOTARIZE a block that passes over a view which is not nullified */
#define J(block, on) NOTARIZED(on)
#else
#define J(block, on) (NOTARIZED(on) && ALL_BETWEEN(VIEW(on), VIEW(block)))
#endif

#ifdef BREAK_F /* FINALIZE a block that is not notarized */
#define F(block) true
#else
#define F(block) NOTARIZED(block)
#endif

#define FINALIZES(view)   (finalize[2 * (view) - 1] | finalize[2 * (view)])
#define ONCE(votes, view) (((votes) & ME) == 0 || FORGOT(view))
#define MAY_NOTARIZE(block, on) (S1(VIEW(block)) && S3(VIEW(block)) && J(block, on))
#define MAY_NULLIFY(view) \
	(ONCE(nullify[view], view) && S2(FINALIZES(view), view) && S3(view))
#define MAY_FINALIZE(block) \
	(parent[block] != UNKNOWN && F(block) && S3(VIEW(block)) && \
	 ONCE(FINALIZES(VIEW(block)), VIEW(block)) && S2(nullify[VIEW(block)], VIEW(block)))

/* What must hold whatever happens: of two finalized blocks, one is an ancestor of the other. */
hidden byte low, high, above;
inline check()
{
	d_step {
		for (low : 1 .. BLOCKS - 1) {
			for (high : 1 .. BLOCKS - 1) {
				if
				:: FINALIZED(low) && FINALIZED(high) && VIEW(high) >= VIEW(low) ->
					above = high;
					do
					:: VIEW(above) > VIEW(low) -> above = parent[above]
					:: else -> break
					od;
					assert(above == low) /* or there is a fork */
				:: else
				fi
			}
		}
		low = 0; high = 0; above = 0
	}
}

/* A block stands on what its first voter says it does: liars wrote it for this voter to like. */
#define STANDS(block, on) (parent[block] == (on) || (parent[block] == UNKNOWN && NAMED(block)))
#define NAMED(block) ((block) % 2 == 1 || notarize[(block) - 1] != 0)
#define NOTARIZE(block, on) \
	:: atomic { STANDS(block, on) && NEWS(notarize[block]) && MAY_NOTARIZE(block, on) -> \
		parent[block] = on; notarize[block] = notarize[block] | ME; check() }
#define NULLIFY(view) \
	:: atomic { NEWS(nullify[view]) && MAY_NULLIFY(view) -> \
		nullify[view] = nullify[view] | ME; check() }
#define FINALIZE(block) \
	:: atomic { NEWS(finalize[block]) && MAY_FINALIZE(block) -> \
		finalize[block] = finalize[block] | ME; check() }
#ifdef IN_QUORUMS
#define DELIVER(block)
#else
#define DELIVER(block) \
	:: atomic { FINALIZED(block) && VIEW(block) > floor[me] -> floor[me] = VIEW(block) }
#endif
#define ANY_OF(view) \
	NULLIFY(view) FINALIZE(2 * view - 1) FINALIZE(2 * view) \
	DELIVER(2 * view - 1) DELIVER(2 * view)
#define EITHER_ON(view, on) NOTARIZE(2 * view - 1, on) NOTARIZE(2 * view, on)
#define ON_0(view) EITHER_ON(view, 0)
#define ON_1(view) EITHER_ON(view, 1) EITHER_ON(view, 2)
#define ON_2(view) EITHER_ON(view, 3) EITHER_ON(view, 4)
#define ON_3(view) EITHER_ON(view, 5) EITHER_ON(view, 6)
#define NEWS(votes) (!QUORUM(votes) && !((votes) & ME))

active [3] proctype honest()
{
	byte me = _pid;
end:	do
	ANY_OF(1) ON_0(1)
	ANY_OF(2) ON_0(2) ON_1(2)
#if VIEWS > 2
	ANY_OF(3) ON_0(3) ON_1(3) ON_2(3)
#endif
#if VIEWS > 3
	ANY_OF(4) ON_0(4) ON_1(4) ON_2(4) ON_3(4)
#endif
	od
}

package tokenboundary_test

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// raceRounds says how many rounds the race has: the value of the environment variable TOKENBOUNDARY_RACE_ROUNDS, and
// without it 50, or 10 with -short.
func raceRounds(t *testing.T) int {
	if s := os.Getenv("TOKENBOUNDARY_RACE_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		require.Positive(t, n)
		return n
	}
	if testing.Short() {
		return 10
	}
	return 50
}

// outcome is what the uses of one refresh token came to.
type outcome struct {
	mu      sync.Mutex
	tokens  []tb.Token
	refused map[string]int // by reason
	other   []error
}

// rush uses one refresh token n times at once, at all nodes.
func rush(nodes []*world, value string, n int) *outcome {
	o := &outcome{refused: map[string]int{}}
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		node := nodes[i%len(nodes)]
		all.Go(func() {
			<-start
			tok, err := node.Issue(node.ctx, node.again("orchestrator", value))
			o.mu.Lock()
			defer o.mu.Unlock()
			var no *tb.DeniedError
			switch {
			case err == nil:
				o.tokens = append(o.tokens, tok)
			case errors.As(err, &no) && no.Decision.Code == tb.CodeInvalidGrant:
				reasons := no.Decision.Reasons
				o.refused[reasons[len(reasons)-1].Why]++
			default:
				o.other = append(o.other, err)
			}
		})
	}
	close(start)
	all.Wait()
	return o
}

// TestARefreshTokenHasOneSuccessorUnderConcurrency races 64 uses of one refresh token at two Governors over one file.
// Without a grace exactly one gets a successor, and the others end the family; with one all get the same successor.
func TestARefreshTokenHasOneSuccessorUnderConcurrency(t *testing.T) {
	const uses = 64
	const usedBefore = "it was used before: the refresh family ends"
	// Of those who come later, one may read the family just before it ends.
	const dead, dying = "the refresh family is revoked", "revoked: token"
	rounds := raceRounds(t)
	for name, grace := range map[string]time.Duration{"no grace": 0, "grace": time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing, onDisk, func(w *world) { w.cfg.Lifetimes.RefreshGrace = grace })
			nodes := []*world{w.node(), w.node()}
			for round := range rounds {
				first := w.begun("read")
				o := rush(nodes, first.RefreshValue(), uses)
				require.Empty(t, o.other, "round %d", round)
				successors := map[string]bool{}
				for _, tok := range o.tokens {
					successors[tok.RefreshValue()] = true
				}
				require.Len(t, successors, 1, "round %d", round)
				require.False(t, successors[""] || successors[first.RefreshValue()])
				if grace == 0 {
					require.Len(t, o.tokens, 1, "round %d", round)
					require.Equal(t, uses-1, o.refused[usedBefore]+o.refused[dead]+o.refused[dying], "%v", o.refused)
					require.Positive(t, o.refused[usedBefore])
					require.Equal(t, lineage.Revoked, w.state(o.tokens[0].ID), "reuse ends the family, whoever was first")
				} else {
					require.Len(t, o.tokens, uses, "round %d: %v", round, o.refused)
					for _, tok := range o.tokens[:4] {
						require.Equal(t, lineage.Active, w.state(tok.ID))
					}
					next := w.issued(nodes[round%2].again("orchestrator", o.tokens[0].RefreshValue()))
					require.False(t, successors[next.RefreshValue()])
				}
				w.clock.Add(time.Millisecond)
			}
			families := map[lineage.Selector]bool{}
			for _, r := range w.feed(ops) {
				families[r.Selector] = true
			}
			if grace == 0 {
				require.Len(t, families, rounds, "every family ended, each by name")
				require.Len(t, w.feed(ops), rounds, "and once")
			} else {
				require.Empty(t, families)
			}
		})
	}
}

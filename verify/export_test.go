package verify

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// What the tests reach into the package for.
const (
	MaxAnswers = maxAnswers
	MaxPending = maxPending
	MaxProofs  = maxProofs
)

var ErrFeed = errFeed

// Until waits until the condition holds, which is looked at whenever what is known has changed.
func (v *Verifier) Until(ctx context.Context, holds func() bool) error { return v.until(ctx, holds) }

func (v *Verifier) Flush(ctx context.Context) { v.flush(ctx) }

func ReadFeed(body []byte) ([]lineage.Revocation, error) { return readFeed(body) }

func ReadState(body []byte) (tokenboundary.State, error) { return readState(body) }

// Present returns what a request presents: the token, whether under DPoP, and the error that it would be answered with.
func Present(r *http.Request) (token string, dpop bool, status int, code string) {
	p, err := present(r)
	if err != nil {
		no := refused(err, p)
		return "", false, no.status, no.code
	}
	return p.token, p.proof != nil, 0, ""
}

// Index is an index alone.
type Index struct{ *index }

func NewIndex(life time.Duration, most int) Index { return Index{newIndex(life, most)} }

func (ix Index) Add(r lineage.Revocation) error { return ix.add(r) }
func (ix Index) Sweep(now time.Time)            { ix.sweep(now) }
func (ix Index) Entries() int                   { _, n := ix.at(); return n }

// Held is how many entries of any kind take memory.
func (ix Index) Held() int { return len(ix.marks) + len(ix.suspended) + len(ix.queue) }

// Judge returns why the token is dead, or as of which position the boundary must be asked.
func (ix Index) Judge(c tokenboundary.Claims) (uint64, error) {
	j := ix.judge(&c)
	return j.asked, j.dead
}

// Remember puts answers about that many tokens, and returns how many are remembered, and whether the last is.
func Remember(n int) (kept int, last bool) {
	var a answers
	for i := range n {
		a.put(strconv.Itoa(i), answer{active: true})
	}
	_, last = a.get(strconv.Itoa(n - 1))
	return len(a.young) + len(a.old), last
}

// Proofs is what remembers proofs that were used.
type Proofs struct{ spent }

func (p *Proofs) Spend(key string, until, now time.Time) error {
	return p.spend(use{key, until}, now)
}

func (p *Proofs) Len() int { return len(p.until) }

package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// maxKnown is how many tokens are remembered, at least.
const maxKnown = 8192

// known is what a token of the boundary says, and what never changes of it.
type known struct {
	id         lineage.ID
	scopes     []string
	details    []json.RawMessage
	thumbprint string // of the key that it is bound to
}

// tokens remembers tokens that were active once, by their digests, in two generations: what is not used while the young fills up
// goes with the old. That one is known says nothing of whether it is active now. The zero value is ready.
type tokens struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]known
}

func (m *tokens) get(digest [sha256.Size]byte) (known, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, found := m.young[digest]; found {
		return k, true
	}
	k, found := m.old[digest]
	if found {
		m.keep(digest, k)
	}
	return k, found
}

func (m *tokens) put(digest [sha256.Size]byte, k known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(digest, k)
}

// keep keeps a token with the young. The caller holds the lock.
func (m *tokens) keep(digest [sha256.Size]byte, k known) {
	if m.young == nil || len(m.young) >= maxKnown {
		m.young, m.old = map[[sha256.Size]byte]known{}, m.young
	}
	m.young[digest] = k
}

// recognise returns what a token says. Asked is true where the boundary was asked about it: it is active. Of any other token only a
// lease that may be used says that: see lease.
func (p *Proxy) recognise(ctx context.Context, raw string) (k known, asked bool, err error) {
	if k, found := p.tokens.get(sha256.Sum256([]byte(raw))); found {
		return k, false, nil
	}
	k, err = p.introspect(ctx, raw)
	return k, true, err
}

// introspect asks the boundary about a token.
func (p *Proxy) introspect(ctx context.Context, raw string) (known, error) {
	state, err := p.b.cfg.Governor.Introspect(ctx, p.b.cfg.Client, raw)
	switch {
	case err != nil:
		return known{}, errors.Join(errCannotTell, err)
	case !state.Active:
		return known{}, errInactive
	}
	c := state.Claims
	k := known{scopes: strings.Fields(c.Scope), details: c.Details}
	if k.id, err = lineage.ParseID(c.ID); err != nil {
		return known{}, errInactive
	}
	if c.Confirm != nil {
		k.thumbprint = c.Confirm.Thumbprint
	}
	p.tokens.put(sha256.Sum256([]byte(raw)), k)
	return k, nil
}

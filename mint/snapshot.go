package mint

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const (
	// headKey is the head of the store that holds the key set.
	headKey = "keys"
	// freshness is how old a reading of the key set may be where something is signed or verified.
	freshness = time.Second
	// patience is how old it may be for a verification while the store fails.
	patience = time.Minute
)

// snapshot is one consistent reading of the key set. It is immutable.
type snapshot struct {
	at      time.Time // before the reading began
	version uint64
	ring    ring
	revoked map[string]bool
	keys    map[string]publicKey
	headers map[string]string // the key ids by the first segment of their tokens
	held    map[string]*privateKey
	// verified is shared with the snapshots before that name the same keys, and the same revoked ones.
	verified *cache
}

func (s *snapshot) holds(kid string) bool { return s.held[kid] != nil }

// pinned is pinned for tokens that are most often of a key that is listed: the header of one need not be read.
func (s *snapshot) pinned(raw string) (kid string, ok bool) {
	segment, _, _ := strings.Cut(raw, ".")
	if kid, ok = s.headers[segment]; ok {
		return kid, true
	}
	return pinned(raw)
}

// lookup returns the key that verifies tokens of kid. Where there is none, known tells whether there ever was.
func (s *snapshot) lookup(kid string, now time.Time, overlap time.Duration) (k publicKey, trusted, known bool) {
	e := s.ring.find(kid)
	if e == nil {
		return publicKey{}, false, false
	}
	k, listed := s.keys[kid]
	return k, listed && !s.revoked[kid] && e.trusted(now, overlap), true
}

func (s *snapshot) jwks(now time.Time, overlap time.Duration) ([]byte, error) {
	var list []jose.Key
	for _, e := range s.ring {
		if k, trusted, _ := s.lookup(e.Kid, now, overlap); trusted {
			list = append(list, k.Key)
		}
	}
	return jose.Marshal(list)
}

// lock waits for the gate.
func (m *Mint) lock(ctx context.Context) error {
	select {
	case m.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

func (m *Mint) unlock() { <-m.gate }

// current returns a snapshot that is not older than age; for zero, one whose reading began after the call. Callers
// share readings: however many wait, there is at most one under way and one to follow. A store that failed is asked
// again only after age.
func (m *Mint) current(ctx context.Context, age time.Duration) (*snapshot, error) {
	if s := m.snap.Load(); jose.Within(m.clock.Now(), s.at, age) {
		return s, nil
	}
	before := m.rounds.Load()
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.unlock()
	s := m.snap.Load()
	switch now := m.clock.Now(); {
	case m.reading.round > before, m.reading.err != nil && jose.Within(now, m.reading.at, age):
		if m.reading.err != nil {
			return nil, m.reading.err
		}
		return s, nil
	case jose.Within(now, s.at, age):
		return s, nil
	}
	return m.read(ctx)
}

// read reads the key set from the store, and the private keys that belong to it, and makes it what everyone sees. The
// caller has the gate.
func (m *Mint) read(ctx context.Context) (*snapshot, error) {
	s := &snapshot{at: m.clock.Now()}
	round := m.rounds.Add(1)
	err := m.fill(ctx, s)
	if err != nil {
		err = unavailable(err)
	}
	if err == nil || ctx.Err() == nil { // a caller that gave up says nothing about the store
		m.reading = attempt{round, s.at, err}
	}
	if err != nil {
		return nil, err
	}
	m.install(s)
	return s, nil
}

func (m *Mint) fill(ctx context.Context, s *snapshot) error {
	heads, err := m.store.Heads(ctx, m.issuer, []string{headKey})
	if err != nil {
		return err
	}
	if len(heads) != 1 {
		return errRing
	}
	old := m.snap.Load()
	if s.version = heads[0].Version; old != nil && old.version == s.version {
		s.ring, s.keys, s.headers = old.ring, old.keys, old.headers
	} else {
		if s.ring, err = decodeRing(heads[0].Value); err != nil {
			return err
		}
		if s.keys, err = s.ring.parse(); err != nil {
			return err
		}
		s.headers = map[string]string{}
		for kid, k := range s.keys {
			s.headers[k.header] = kid
		}
		if err := m.loadListed(s); err != nil {
			return err
		}
	}
	s.held = maps.Clone(m.held)
	if err := m.readRevoked(ctx, s); err != nil {
		return err
	}
	if old != nil && old.version == s.version && maps.Equal(old.revoked, s.revoked) {
		s.verified = old.verified
	} else {
		s.verified = newCache()
	}
	return nil
}

// loadListed picks up private keys that another node on the same directory has made.
func (m *Mint) loadListed(s *snapshot) error {
	if m.dir == "" {
		return nil
	}
	for _, e := range s.ring {
		if m.held[e.Kid] != nil || !e.live(s.at) {
			continue
		}
		signer, err := m.dir.load(e.Kid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if m.held[e.Kid], err = newPrivateKey(e.Alg, signer); err != nil {
			delete(m.held, e.Kid)
			return err
		}
	}
	return nil
}

// readRevoked finds out which of the keys, listed or held, were revoked.
func (m *Mint) readRevoked(ctx context.Context, s *snapshot) error {
	var sels []lineage.Selector
	for _, e := range s.ring {
		if !e.gone() {
			sels = append(sels, keySelector(e.Kid))
		}
	}
	for kid := range s.held {
		if s.ring.find(kid) == nil {
			sels = append(sels, keySelector(kid))
		}
	}
	s.revoked = map[string]bool{}
	if len(sels) == 0 {
		return nil
	}
	marks, err := m.store.Revoked(ctx, m.issuer, sels)
	for _, mark := range marks {
		if mark.Selector.Kind == lineage.SelectKey && mark.Kills(s.at) {
			s.revoked[mark.Selector.Value] = true
		}
	}
	return err
}

func keySelector(kid string) lineage.Selector {
	return lineage.Selector{Kind: lineage.SelectKey, Value: kid}
}

// install makes s what everyone sees, and destroys the private keys that it has done with. The caller has the gate.
func (m *Mint) install(s *snapshot) {
	for kid := range m.held {
		if e := s.ring.find(kid); !s.revoked[kid] && (e == nil || !spent(*e, s.at)) {
			continue
		}
		m.drop(kid)
	}
	s.held = maps.Clone(m.held)
	m.snap.Store(s)
}

// drop destroys a private key. A file that cannot be removed stays useless where the key set says that the key is gone.
func (m *Mint) drop(kid string) {
	if m.dir != "" {
		_ = m.dir.remove(kid)
	}
	delete(m.held, kid)
}

// spent reports whether e will never sign again.
func spent(e entry, now time.Time) bool {
	return e.gone() || !e.Retired.IsZero() && !now.Before(e.Retired.Add(signGrace))
}

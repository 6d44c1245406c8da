package mint

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// attempts is how often a change of the key set is tried again after another node was faster.
const attempts = 8

var errOutcome = errors.New("it is not known whether the key set was changed")

// Rotate makes and publishes the next key and returns its id. Tokens are signed with it once it has been public for
// Config.PublishAhead; the keys that this node used until then are retired at that moment. Other nodes that have
// their own directory keep their keys. It needs Config.Dir.
func (m *Mint) Rotate(ctx context.Context) (kid string, err error) {
	if m.dir == "" {
		return "", errors.New("mint: Rotate needs Config.Dir: give the next key of a Signer to RotateTo")
	}
	if err := m.lock(ctx); err != nil {
		return "", err
	}
	defer m.unlock()
	k, err := m.newKey()
	if err != nil {
		return "", err
	}
	return k.ID, m.rotateTo(ctx, k)
}

// RotateTo is Rotate with a key that is held elsewhere. Until the new key has taken over, a node that starts again
// must be opened with the old one, or else starts to use the new one early.
func (m *Mint) RotateTo(ctx context.Context, s crypto.Signer) (kid string, err error) {
	k, err := newPrivateKey(m.alg, s)
	if err != nil {
		return "", err
	}
	if m.dir != "" {
		return "", errors.New("mint: RotateTo needs Config.Signer: keys of Config.Dir are made by Rotate")
	}
	if err := m.lock(ctx); err != nil {
		return "", err
	}
	defer m.unlock()
	return k.ID, m.rotateTo(ctx, k)
}

// rotateTo publishes k. Where it is unknown whether that was done, k stays at hand, and whoever changes the key set
// next settles it; otherwise a k that could not be published is forgotten.
func (m *Mint) rotateTo(ctx context.Context, k *privateKey) error {
	had := m.held[k.ID] != nil
	m.held[k.ID] = k
	if err := m.settle(ctx, ""); err != nil {
		if !had && !errors.Is(err, errOutcome) {
			m.drop(k.ID)
		}
		return err
	}
	if s := m.snap.Load(); !s.holds(k.ID) || !s.ring.find(k.ID).live(s.at) {
		return errors.New("mint: the key was retired or revoked before")
	}
	return nil
}

// Retire ends the use of a key now: it signs no more, and is verified for Config.Overlap. It is for keys of nodes
// that are gone; a key whose secret is out is revoked, by its selector. Retiring a retired key changes nothing.
func (m *Mint) Retire(ctx context.Context, kid string) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.unlock()
	known := false
	err := m.change(ctx, func(s *snapshot, next ring) (ring, error) {
		e := next.find(kid)
		if known = e != nil; known && e.live(s.at) {
			e.Retired = lineage.Time(s.at)
		}
		return next, nil
	})
	if err == nil && !known {
		err = fmt.Errorf("mint: no such key: %w", tokenboundary.ErrNotFound)
	}
	return err
}

// load takes the private keys in the directory that the store does not know.
func (m *Mint) load(ctx context.Context) error {
	if m.dir == "" {
		return nil
	}
	s, err := m.read(ctx)
	if err != nil {
		return err
	}
	kids, err := m.dir.kids()
	if err != nil {
		return err
	}
	for _, kid := range kids {
		switch e := s.ring.find(kid); {
		case e == nil:
			signer, err := m.dir.load(kid)
			if err != nil {
				return err
			}
			if m.held[kid], err = newPrivateKey(m.alg, signer); err != nil {
				return fmt.Errorf("key file %s.pem: %w", kid, err)
			}
		case spent(*e, s.at):
			if err := m.dir.remove(kid); err != nil {
				return err
			}
		}
	}
	return nil
}

// newKey makes a private key and keeps it in the directory, which comes before anyone may rely on it.
func (m *Mint) newKey() (*privateKey, error) {
	signer, err := generate(m.alg)
	if err != nil {
		return nil, unavailable(err)
	}
	k, err := newPrivateKey(m.alg, signer)
	if err != nil {
		return nil, unavailable(err)
	}
	if err := m.dir.save(k.ID, signer); err != nil {
		return nil, unavailable(err)
	}
	return k, nil
}

// wants reports whether signing with s needs a change of the key set first.
func (m *Mint) wants(s *snapshot, now time.Time) bool {
	return s.ring.signing(s.holds, now) == nil ||
		m.dir != "" && !s.ring.lasting(s.holds, "") ||
		slices.ContainsFunc(s.ring, func(e entry) bool { return e.over(s.revoked, now, m.overlap) })
}

// tend makes the change that wants asks for. Where it failed, it is tried again only after freshness.
func (m *Mint) tend(ctx context.Context) (*snapshot, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.unlock()
	now := m.clock.Now()
	if s := m.snap.Load(); !m.wants(s, now) {
		return s, nil
	}
	if m.tending.err != nil && jose.Within(now, m.tending.at, freshness) {
		return nil, m.tending.err
	}
	err := m.settle(ctx, "")
	if err == nil || ctx.Err() == nil {
		m.tending = attempt{at: now, err: err}
	}
	return m.snap.Load(), err
}

// settle changes the key set so that this node can sign: keys that it holds are published, one is made where none is
// left that lasts (of the algorithm alg; empty: of any), and what is gone is struck. The caller has the gate.
func (m *Mint) settle(ctx context.Context, alg string) error {
	var spare *privateKey
	err := m.change(ctx, func(s *snapshot, next ring) (_ ring, err error) {
		now := lineage.Time(s.at)
		next.strike(s.revoked, now, m.overlap)
		for _, kid := range slices.Sorted(maps.Keys(s.held)) {
			if next.find(kid) != nil || s.revoked[kid] {
				continue
			}
			if next, err = next.publish(s.held[kid].publicKey, s.holds, now, m.ahead); err != nil {
				return nil, err
			}
		}
		if m.dir != "" && !next.lasting(s.holds, alg) {
			if spare == nil {
				if spare, err = m.newKey(); err != nil {
					return nil, err
				}
			}
			if next, err = next.publish(spare.publicKey, s.holds, now, m.ahead); err != nil {
				return nil, err
			}
			s.held[spare.ID] = spare
		}
		if next.signing(s.holds, now) == nil && !next.promote(s.holds, now) {
			return nil, errNoKey
		}
		return next, nil
	})
	if spare != nil && m.held[spare.ID] == nil {
		m.drop(spare.ID) // another node was faster, or it cannot be published: nobody knows this key
	}
	return err
}

// change reads the key set, and writes what edit makes of it unless that is the same; where another node was faster
// it begins again. edit gets copies, and may add to the held keys. The caller has the gate.
func (m *Mint) change(ctx context.Context, edit func(*snapshot, ring) (ring, error)) error {
	for range attempts {
		s, err := m.read(ctx)
		if err != nil {
			return err
		}
		draft := *s
		draft.held = maps.Clone(s.held)
		next, err := edit(&draft, slices.Clone(s.ring))
		if err != nil {
			return unavailable(err)
		}
		err = m.write(ctx, &draft, next)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		maps.Copy(m.held, draft.held) // also where the outcome is unknown: the next reading settles it
		if err != nil {
			return unavailable(fmt.Errorf("%w: %w", errOutcome, err))
		}
		m.install(&draft)
		return nil
	}
	return unavailable(errors.New("the key set keeps changing"))
}

// write replaces the key set that s has read by next, and updates s to it. No key that is new in it may have been
// revoked before.
func (m *Mint) write(ctx context.Context, s *snapshot, next ring) error {
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if old, err := json.Marshal(s.ring); err != nil || string(old) == string(value) {
		return err
	}
	keys, err := next.parse()
	if err != nil || len(value) > maxRing {
		return errRing
	}
	tx := store.Tx{
		Issuer: m.issuer, Time: s.at, Swaps: []store.Swap{{Key: headKey, Version: s.version, Value: value}},
	}
	for _, e := range next {
		if s.ring.find(e.Kid) == nil {
			sel := []lineage.Selector{keySelector(e.Kid)}
			tx.Unrevoked = append(tx.Unrevoked, store.Unrevoked{Selectors: sel, Since: s.at})
		}
	}
	errs := m.store.Commit(ctx, []store.Tx{tx})
	if len(errs) != 1 {
		return errors.New("the store returned a wrong number of results")
	}
	if errs[0] != nil {
		return errs[0]
	}
	s.ring, s.keys, s.version, s.verified = next, keys, s.version+1, newCache()
	return nil
}

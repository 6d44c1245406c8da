package mint

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

const (
	// maxListed bounds the keys that are trusted at one time.
	maxListed = jose.MaxKeys
	// maxGone bounds how many keys that are gone are remembered, so that none comes back.
	maxGone = 256
	// maxRing bounds the stored value.
	maxRing = 512 << 10
	// signGrace is for how long after its retirement a key still signs: a decision under way names the key first and
	// is signed later.
	signGrace = time.Minute
)

// entry is one key of the issuer, as the store keeps it.
type entry struct {
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	// JWK is the public key; absent once the key is gone for good.
	JWK        json.RawMessage `json:"jwk,omitempty"`
	Published  time.Time       `json:"published"`
	UsableFrom time.Time       `json:"usable_from"`
	// Retired is when the key stops to sign; it may lie ahead. Zero: not decided.
	Retired time.Time `json:"retired,omitzero"`
}

func (e entry) gone() bool { return len(e.JWK) == 0 }

// live reports whether e signs, or will.
func (e entry) live(now time.Time) bool {
	return !e.gone() && (e.Retired.IsZero() || now.Before(e.Retired))
}

// signs reports whether e is to sign now.
func (e entry) signs(now time.Time) bool { return e.live(now) && !now.Before(e.UsableFrom) }

// maySign reports whether a signature that was begun with e may still be made.
func (e entry) maySign(now time.Time) bool {
	return !e.gone() && !now.Before(e.UsableFrom) && (e.Retired.IsZero() || now.Before(e.Retired.Add(signGrace)))
}

// trusted reports whether tokens of e verify.
func (e entry) trusted(now time.Time, overlap time.Duration) bool {
	return !e.gone() && (e.Retired.IsZero() || now.Before(e.Retired.Add(overlap)))
}

// over reports whether e is listed although nothing of it is to be trusted any more.
func (e entry) over(revoked map[string]bool, now time.Time, overlap time.Duration) bool {
	return !e.gone() && (revoked[e.Kid] || !e.trusted(now, overlap))
}

// ring is every key of the issuer in the order of publication. A ring that readers share is never changed.
type ring []entry

// find returns the entry of the key, or nil.
func (r ring) find(kid string) *entry {
	if i := slices.IndexFunc(r, func(e entry) bool { return e.Kid == kid }); i >= 0 {
		return &r[i]
	}
	return nil
}

// signing returns the key to sign with among those that are held: the one that became usable last.
func (r ring) signing(held func(kid string) bool, now time.Time) *entry {
	var best *entry
	for i, e := range r {
		if held(e.Kid) && e.signs(now) && (best == nil || e.UsableFrom.After(best.UsableFrom)) {
			best = &r[i]
		}
	}
	return best
}

// lasting reports whether one of the keys that are held has no end yet and is for alg; empty stands for any.
func (r ring) lasting(held func(kid string) bool, alg string) bool {
	return slices.ContainsFunc(r, func(e entry) bool {
		return held(e.Kid) && !e.gone() && (alg == "" || e.Alg == alg) && e.Retired.IsZero()
	})
}

// publish adds k. Where one of the keys that are held can sign, k follows it after ahead, and they retire then;
// otherwise k is usable at once.
func (r ring) publish(k publicKey, held func(kid string) bool, now time.Time, ahead time.Duration) (ring, error) {
	jwk, err := marshalJWK(k.Key)
	if err != nil {
		return nil, err
	}
	from := now
	if r.signing(held, now) != nil {
		from = now.Add(ahead)
	}
	listed := 0
	for i, e := range r {
		if !e.gone() {
			listed++
		}
		if held(e.Kid) && (e.Retired.IsZero() || e.Retired.After(from)) {
			r[i].Retired = from
		}
	}
	if listed >= maxListed {
		return nil, errors.New("mint: too many keys are in use: retire or revoke those of nodes that are gone")
	}
	r = append(r, entry{Kid: k.ID, Alg: k.Alg, JWK: jwk, Published: now, UsableFrom: from})
	for len(r) > maxListed+maxGone {
		i := slices.IndexFunc(r, entry.gone)
		r = slices.Delete(r, i, i+1)
	}
	return r, nil
}

// promote makes the held key that would become usable next usable at once, and reports whether there is one.
func (r ring) promote(held func(kid string) bool, now time.Time) bool {
	var next *entry
	for i, e := range r {
		if held(e.Kid) && e.live(now) && (next == nil || e.UsableFrom.Before(next.UsableFrom)) {
			next = &r[i]
		}
	}
	if next != nil {
		next.UsableFrom = now
	}
	return next != nil
}

// strike removes the public part of what is revoked or past its overlap, and reports whether there was any.
func (r ring) strike(revoked map[string]bool, now time.Time, overlap time.Duration) bool {
	changed := false
	for i, e := range r {
		if !e.over(revoked, now, overlap) {
			continue
		}
		r[i].JWK, changed = nil, true
		if e.live(now) {
			r[i].Retired = now
		}
	}
	return changed
}

var errRing = errors.New("the key set in the store cannot be read")

func decodeRing(value []byte) (ring, error) {
	var r ring
	if len(value) == 0 {
		return nil, nil
	}
	if len(value) > maxRing || json.Unmarshal(value, &r) != nil {
		return nil, errRing
	}
	seen := map[string]bool{}
	for _, e := range r {
		if seen[e.Kid] || !isThumbprint(e.Kid) || !slices.Contains(algorithms, e.Alg) || e.UsableFrom.IsZero() {
			return nil, errRing
		}
		seen[e.Kid] = true
	}
	return r, nil
}

// marshalJWK returns one key as it stands in a JWKS.
func marshalJWK(k jose.Key) (json.RawMessage, error) {
	raw, err := jose.Marshal([]jose.Key{k})
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) != 1 {
		return nil, errors.New("mint: the public key cannot be written")
	}
	return set.Keys[0], nil
}

// parse returns the public keys that are listed, by id. Each must be the key of its id and fit its algorithm.
func (r ring) parse() (map[string]publicKey, error) {
	list := make([]json.RawMessage, 0, len(r))
	for _, e := range r {
		if !e.gone() {
			list = append(list, e.JWK)
		}
	}
	raw, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		return nil, errRing
	}
	set, err := jose.ParseKeySet(raw)
	if err != nil {
		return nil, errRing
	}
	keys := make(map[string]publicKey, len(list))
	for _, e := range r {
		if e.gone() {
			continue
		}
		found := set.Find(e.Kid, e.Alg, "sig")
		if len(found) != 1 || found[0].Alg != e.Alg {
			return nil, errRing
		}
		if kid, err := jose.Thumbprint(found[0].Public); err != nil || kid != e.Kid {
			return nil, errRing
		}
		keys[e.Kid] = newPublicKey(found[0])
	}
	return keys, nil
}

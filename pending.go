package tokenboundary

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Pending is a decision that is not yet recorded. Its content is for Governor.Record alone.
type Pending struct {
	Records []lineage.Record `json:"records"`
	Spends  []Spend          `json:"spends,omitempty"`
	// MAC proves that a Governor of this issuer decided exactly this.
	MAC []byte `json:"mac"`
}

// Spend is something single-use that is spent when the decision is recorded: a head that changes from its version.
type Spend struct {
	Key     string    `json:"key"`
	Version uint64    `json:"version,omitempty"`
	State   string    `json:"state"`
	Value   []byte    `json:"value,omitempty"`
	Expires time.Time `json:"expires"`
}

// secretKey is the head that holds what pending decisions are authenticated with, the same at all nodes.
const secretKey = "secret:decisions"

// sharedSecret returns the key of Pending.MAC. The first Governor on a new store makes it.
func (g *Governor) sharedSecret(ctx context.Context) ([]byte, error) {
	for range attempts {
		if s := g.secret.Load(); s != nil {
			return *s, nil
		}
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{secretKey})
		if err != nil {
			return nil, unavailable("store", err)
		}
		if s := heads[0].Value; len(s) == 32 {
			g.secret.Store(&s)
			continue
		}
		fresh := make([]byte, 32)
		rand.Read(fresh) //nolint:errcheck // never fails (crypto/rand)
		tx := g.tx(g.now())
		tx.Swaps = []store.Swap{{Key: secretKey, State: "set", Value: fresh}}
		if err := g.commit(ctx, tx); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, unavailable("decisions", errStale)
}

// mac authenticates all that Governor.Record will write.
func (p *Pending) mac(secret []byte) []byte {
	h := hmac.New(sha256.New, secret)
	for _, r := range p.Records {
		io.WriteString(h, canon.Key("record", string(r.Raw()), string(r.RawBody())))
	}
	for _, s := range p.Spends {
		io.WriteString(h, canon.Key("spend", s.Key, strconv.FormatUint(s.Version, 10), s.State, string(s.Value),
			s.Expires.UTC().Format(time.RFC3339Nano)))
	}
	return h.Sum(nil)
}

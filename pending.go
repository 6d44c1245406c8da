package tokenboundary

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
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

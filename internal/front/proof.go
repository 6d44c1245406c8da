package front

import (
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// ProofType is the typ of a proof of possession (RFC 9449, section 4.2).
const ProofType = "dpop+jwt"

// MaxProof is the largest proof in bytes. One with an RSA key of 4096 bits and the longest URL has some 6,000.
const MaxProof = 8 << 10

// ParseProof reads a proof of possession of at most MaxProof bytes, and returns the key (jwk) that its header carries,
// as JSON, beside it. It is the only kind of token that may bring a key, so it is told apart by its header alone: that
// has exactly alg, jwk, and the typ "dpop+jwt" in this spelling. Everything else is as in Parse, and no text passes
// both.
func ParseProof(raw string) (t Token, jwk []byte, err error) {
	t, err = parse(raw, MaxProof, func(t *Token, header []byte) (err error) {
		jwk, err = t.readProofHeader(header)
		return err
	})
	if err != nil {
		return Token{}, nil, err
	}
	return t, jwk, nil
}

// readProofHeader reads a header with alg, typ and jwk, and no other member (RFC 9449, section 4.3, checks 4 and 5).
func (t *Token) readProofHeader(raw []byte) (jwk []byte, err error) {
	members, err := canon.Object(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", errToken, err)
	}
	jwk, typ := members.Get("jwk"), members.Get("typ")
	members = slices.DeleteFunc(members, func(m canon.Member) bool { return m.Name == "jwk" })
	switch {
	case jwk == nil:
		return nil, fmt.Errorf("%w: header has no key", errToken)
	case string(typ) != `"`+ProofType+`"`:
		return nil, fmt.Errorf("%w: typ is not %s", errToken, ProofType)
	case len(members) > 2:
		return nil, fmt.Errorf("%w: header has a member that is not allowed in a proof", errToken)
	}
	return jwk, t.readMembers(members)
}

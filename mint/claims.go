package mint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// The errors of tokens. None of them contains any of the token.
var (
	// ErrToken means that a token can never be accepted here. The other errors below wrap it.
	ErrToken = errors.New("mint: not an acceptable token")
	// ErrSignature means that no key of the issuer made the signature.
	ErrSignature = fmt.Errorf("%w: signature", ErrToken)
	// ErrExpired means that the token is past its exp.
	ErrExpired = fmt.Errorf("%w: expired", ErrToken)
	// ErrAudience means that the token is meant for somebody else.
	ErrAudience = fmt.Errorf("%w: audience", ErrToken)
)

var errTooLong = fmt.Errorf("%w: the token would exceed %d bytes", tokenboundary.ErrInvalid, canon.MaxMinted)

// appendClaims appends the payload of a token.
func appendClaims(out []byte, c tokenboundary.Claims) ([]byte, error) {
	if err := checkClaims(c); err != nil {
		return out, fmt.Errorf("%w: claims: %w", tokenboundary.ErrInvalid, err)
	}
	payload, err := c.AppendJSON(out)
	if err != nil {
		return out, fmt.Errorf("%w: claims are not UTF-8", tokenboundary.ErrInvalid)
	}
	return payload, nil
}

// decodeClaims reads what appendClaims would have written for the claims, byte for byte. That leaves no room for
// members that are unknown, repeated or in another case, for a null, or for a second spelling of anything.
func decodeClaims(payload []byte) (tokenboundary.Claims, error) {
	c, ok := readClaims(payload)
	if !ok { // which the general decoder can say more about
		c = tokenboundary.Claims{}
		if err := json.Unmarshal(payload, &c); err != nil {
			return tokenboundary.Claims{}, fmt.Errorf("%w: a claim is of the wrong type", ErrToken)
		}
	}
	if err := checkClaims(c); err != nil {
		return tokenboundary.Claims{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	again, err := c.AppendJSON(*buf)
	if *buf = again; err != nil || !bytes.Equal(again, payload) {
		return tokenboundary.Claims{}, fmt.Errorf("%w: claims are not in their one form", ErrToken)
	}
	return c, nil
}

// checkClaims refuses claims that lack a required one (RFC 9068, section 2.2, and txn) or hold what is impossible.
func checkClaims(c tokenboundary.Claims) error {
	for _, f := range []struct {
		name string
		ok   bool
	}{
		{"iss", canon.Name(c.Issuer) == nil},
		{"sub", canon.Name(c.Subject) == nil},
		{"aud", isAudience(c.Audience)},
		{"exp", c.ExpiresAt > 0},
		{"iat", c.IssuedAt > 0},
		{"jti", isID(c.ID)},
		{"client_id", canon.Name(c.ClientID) == nil},
		{"txn", isID(c.Grant)},
		{"act", isChain(c.Act)},
		{"lin", isLineage(c.Lineage)},
		{"task", c.Task == nil || isID(c.Task.ID) && canon.Name(c.Task.Purpose) == nil},
		{"authorization_details", areDetails(c.Details)},
		{"auth_time", c.AuthTime >= 0},
		{"cnf", c.Confirm == nil || isThumbprint(c.Confirm.Thumbprint)},
		{"recheck", c.Recheck >= 0},
	} {
		if !f.ok {
			return errors.New("missing or impossible: " + f.name)
		}
	}
	return nil
}

func isID(s string) bool {
	_, err := lineage.ParseID(s)
	return err == nil
}

func isAudience(aud []string) bool {
	for _, a := range aud {
		if a == "" || len(a) > canon.MaxResource {
			return false
		}
	}
	return len(aud) > 0 && len(aud) <= canon.MaxResources
}

func isChain(act *tokenboundary.Act) bool {
	depth := 0
	for ; act != nil; act = act.Act {
		if depth++; depth > canon.MaxChain || canon.Name(act.Subject) != nil {
			return false
		}
	}
	return true
}

func isLineage(ids []string) bool {
	for _, id := range ids {
		if !isID(id) {
			return false
		}
	}
	return len(ids) <= canon.MaxChain
}

// areDetails reports whether each is an object in canonical form, as a record has them.
func areDetails(details []json.RawMessage) bool {
	for _, d := range details {
		canonical, err := canon.JSON(d)
		if err != nil || d[0] != '{' || !bytes.Equal(canonical, d) {
			return false
		}
	}
	return true
}

package state

import (
	"crypto/subtle"
	"time"
)

// Family is the value of a refresh family's head: which of its refresh tokens can be used. The zero Family has none.
type Family struct {
	// Generation counts the refresh tokens so far. Current and Previous are the digests of the last two.
	Generation uint64 `json:"generation"`
	Current    []byte `json:"current"`
	Previous   []byte `json:"previous,omitempty"`
	// Rotated is when the current one took the place of the previous one, Idle when it lapses if it is not used.
	Rotated time.Time `json:"rotated"`
	Idle    time.Time `json:"idle"`
}

// Use is what presenting a refresh token of a family amounts to. The zero value permits nothing.
type Use uint8

// The uses.
const (
	Lapsed Use = iota // it was not used for too long, or the family has none
	Reused            // it was used before, and may not be again: the family is in doubt
	Fresh             // it is the current one
	Repeat            // it is the previous one, and may still be repeated
)

// Present says what presenting a refresh token amounts to. Digest is that of the token, generation its place in the
// family; grace is for how long the previous one may be repeated.
func (f Family) Present(generation uint64, digest []byte, now time.Time, grace time.Duration) Use {
	same := func(d []byte) bool { return len(d) > 0 && subtle.ConstantTimeCompare(d, digest) == 1 }
	switch {
	case len(f.Current) == 0:
		return Lapsed
	case generation == f.Generation && same(f.Current):
		if !now.Before(f.Idle) {
			return Lapsed
		}
		return Fresh
	case generation+1 == f.Generation && same(f.Previous) && now.Before(f.Rotated.Add(grace)):
		return Repeat
	}
	return Reused
}

// Next returns the family after its current refresh token was used, or began: the token with the digest takes its place
// and lapses if it is not used before idle.
func (f Family) Next(digest []byte, now, idle time.Time) Family {
	return Family{Generation: f.Generation + 1, Current: digest, Previous: f.Current, Rotated: now, Idle: idle}
}

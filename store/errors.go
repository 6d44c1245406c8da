package store

import (
	"errors"
	"fmt"

	"github.com/tokenboundary/tokenboundary/lineage"
)

var (
	// ErrConflict is wrapped when a condition of a Tx did not hold. Nothing of the Tx was applied; the caller reads
	// again and decides anew.
	ErrConflict = errors.New("store: conflict")
	// ErrBehind means that the Tx's time lies further than its leeway behind the store time.
	ErrBehind = errors.New("store: the writer's clock is behind")
	// ErrInvalid means that the Tx can never be applied: a malformed revocation, a record of another issuer, an id
	// that is there with other bytes.
	ErrInvalid = errors.New("store: invalid transaction")
	// ErrGone means that a feed position is not in the feed.
	ErrGone = errors.New("store: position is not in the feed")
)

// Conflict is the ErrConflict that says which condition did not hold.
type Conflict struct {
	// Key is the head whose version, state or count did not fit; empty for a revoked selector.
	Key string
	// Full is true where the count of Key would have exceeded its maximum.
	Full bool
	// Mark is the mark that revoked a required selector.
	Mark lineage.Mark
}

// Error implements error.
func (c *Conflict) Error() string {
	switch {
	case c.Full:
		return "store: conflict: count at its maximum"
	case c.Key != "":
		return "store: conflict: head has changed"
	}
	return fmt.Sprintf("store: conflict: %s is revoked", c.Mark.Selector.Kind)
}

// Unwrap makes a Conflict an ErrConflict.
func (c *Conflict) Unwrap() error { return ErrConflict }

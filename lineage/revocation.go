package lineage

import (
	"errors"
	"time"
)

// Action says what a Revocation does to what its selector names. The zero value cuts.
type Action string

// The actions of a Revocation.
const (
	Cut     Action = ""        // kills what was issued before
	Block   Action = "block"   // kills what was issued before and stops new issuance until lifted
	Lift    Action = "lift"    // ends a block; what was dead stays dead
	Suspend Action = "suspend" // a task is paused: what it made is inactive, not dead
	Resume  Action = "resume"  // a paused task goes on
)

// Revocation is one entry of the revocation feed: one write that cuts every live record carrying its selector,
// whatever their number.
type Revocation struct {
	// Seq is the entry's place in the feed, rising in commit order; set by the store.
	Seq      uint64   `json:"seq,omitempty"`
	Selector Selector `json:"selector"`
	Action   Action   `json:"action,omitempty"`
	// At is when it was asked for, by the clock of the node that took it.
	At time.Time `json:"at"`
	// Before is the moment before which issuance is dead; set by the store inside the commit and rising per selector.
	// It has no meaning where Selector is absolute.
	Before time.Time `json:"before,omitzero"`
	// Reason and By say why and by whom. They are for operators and never leave the boundary otherwise.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// Check reports whether r is well formed: a selector, a known action, and no block of what never comes back.
func (r Revocation) Check() error {
	if err := r.Selector.check(); err != nil {
		return err
	}
	switch r.Action {
	case Cut:
		return nil
	case Block, Lift:
		if !r.Selector.Absolute() {
			return nil
		}
	case Suspend, Resume:
		if r.Selector.Kind == SelectTask {
			return nil
		}
	}
	return errors.New("lineage: action does not fit the selector")
}

// Mark is the standing effect of all revocations of one selector so far. The zero Mark kills nothing.
type Mark struct {
	Selector Selector  `json:"selector"`
	Cut      bool      `json:"cut,omitempty"`     // an absolute selector was revoked
	Before   time.Time `json:"before,omitzero"`   // what was issued before is dead
	Blocked  bool      `json:"blocked,omitempty"` // nothing is issued, and all that was issued is dead, until lifted
	Seq      uint64    `json:"seq,omitempty"`     // the last entry that changed it
}

// Apply returns the mark after r, whose Before has been set. It never lowers what is dead. A Lift where nothing is
// blocked changes nothing, so that repeating one does not cut what was issued since.
func (m Mark) Apply(r Revocation) Mark {
	switch {
	case r.Action == Suspend || r.Action == Resume:
		return m // the task's head says whether it is active
	case r.Action == Lift && !m.Blocked:
		return m
	}
	m.Selector, m.Seq = r.Selector, r.Seq
	if r.Selector.Absolute() {
		m.Cut = true
		return m
	}
	if r.Before.After(m.Before) {
		m.Before = r.Before
	}
	switch r.Action {
	case Block:
		m.Blocked = true
	case Lift:
		m.Blocked = false
	}
	return m
}

// Kills reports whether m makes dead what was issued on evidence as old as since.
func (m Mark) Kills(since time.Time) bool {
	return m.Cut || m.Blocked || since.Before(m.Before)
}

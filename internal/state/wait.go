package state

import "time"

// The states of a deferred request and the events that change them. That it has lapsed is not here: it follows from the
// clock, or from what it was made from.
const (
	Pending  = "pending"  // somebody must agree
	Waiting  = "waiting"  // nobody needs to agree; something else must happen first
	Approved = "approved" // somebody has agreed
	Refused  = "refused"
	Released = "released" // a token has been released

	Approve = "approve"
	Refuse  = "refuse"
	Release = "release"
)

var wait = map[string]map[string]string{
	Pending:  {Approve: Approved, Refuse: Refused},
	Waiting:  {Release: Released},
	Approved: {Release: Released},
}

// Wait returns the state of a deferred request after an event, and false where the event does not fit the state: the
// first decision counts, and one release. An unknown state permits nothing.
func Wait(from, event string) (to string, ok bool) {
	to, ok = wait[from][event]
	return to, ok
}

// Pace is how a client polls. The zero Pace has not been polled yet and has no interval.
type Pace struct {
	Interval time.Duration `json:"interval"` // how long the client must wait between polls
	Last     time.Time     `json:"last,omitzero"`
}

// slower is by how much polling too fast lengthens the interval (RFC 8628, section 3.5).
const slower = 5 * time.Second

// Poll returns the pace after a poll, and false if that came too early: from then on the interval is longer.
func (p Pace) Poll(now time.Time) (Pace, bool) {
	early := !p.Last.IsZero() && now.Before(p.Last.Add(p.Interval))
	p.Last = now
	if early {
		p.Interval += slower
	}
	return p, !early
}

// Package state holds the state machines of the boundary as pure transition tables: no I/O, no clock. The Governor
// turns a transition into one write.
package state

// The states of a task and the events that change them. Expiry is not here: it follows from the deadline.
const (
	Active    = "active"
	Suspended = "suspended"
	Completed = "completed"
	Revoked   = "revoked"

	Complete = "complete"
	Revoke   = "revoke"
	Suspend  = "suspend"
	Resume   = "resume"
)

var task = map[string]map[string]string{
	Active:    {Complete: Completed, Revoke: Revoked, Suspend: Suspended},
	Suspended: {Complete: Completed, Revoke: Revoked, Resume: Active},
}

// Task returns the state of a task after an event, and false where the event does not fit the state. An unknown state
// and an ended task permit no event.
func Task(from, event string) (to string, ok bool) {
	to, ok = task[from][event]
	return to, ok
}

package state

// The states of a lease and the events that change them. That a lease has lost what it came from is not here: it follows
// from the lineage, like the end of a token.
const (
	Intent = "intent" // it is in the book, and a secret may have been fetched for it
	Held   = "held"   // the secret is there, and how to take it back is in the book
	Ending = "ending" // it is used no more, and has to be taken back
	Ended  = "ended"  // it was taken back

	Hold = "hold"
	End  = "end"
	Done = "done"
)

var lease = map[string]map[string]string{
	Intent: {Hold: Held, End: Ending},
	Held:   {Hold: Held, End: Ending},
	Ending: {Done: Ended},
}

// Lease returns the state of a lease after an event, and false where the event does not fit the state. Nothing leads from
// what ends back to what is used, and only what is being taken back can have been.
func Lease(from, event string) (to string, ok bool) {
	to, ok = lease[from][event]
	return to, ok
}

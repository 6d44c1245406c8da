package tokenboundary

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Signal says that the context of live tokens has changed. Exactly one of its parts is set: Env, Reloaded, or Selector
// with at least one of the fields about it.
type Signal struct {
	// Env changes the facts that policies see as env, by name; a nil value removes one.
	Env map[string]any
	// Reloaded says that another policy set is in force at this Governor.
	Reloaded bool

	// Selector is whom the rest is about: a session, a subject, an actor or a client.
	Selector lineage.Selector
	// Risk is "low", "medium" or "high", or "unknown" to take it back.
	Risk string
	// Attributes changes what policies see as attributes of the party or session, by name; a nil value removes one.
	Attributes map[string]any
	// Assurance is how the subject of a session is authenticated now.
	Assurance *Assurance
	// Ended says that a session is over. It cuts all that came from it.
	Ended bool

	// After is where to go on with a signal whose outcome was not complete: its Next. The signal is otherwise the same.
	After lineage.ID
}

// Assurance is how the subject of a session is authenticated. It is what policies see; what a token says of its session
// is never raised by it. Where the subject has authenticated after the signal, what the credential says counts.
type Assurance struct {
	AuthTime time.Time `json:"auth_time,omitzero"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
}

func (a Assurance) same(b Assurance) bool {
	return a.AuthTime.Equal(b.AuthTime) && a.ACR == b.ACR && slices.Equal(a.AMR, b.AMR)
}

// Outcome is what a signal came to.
type Outcome struct {
	// Examined is how many live tokens and tasks were decided anew: Kept how many of them stay, Revoked how many would not
	// be issued now and are dead. Of the end of a session, it is how many it has cut, refresh
	// families included.
	Examined int `json:"examined"`
	Kept     int `json:"kept"`
	Revoked  int `json:"revoked"`
	// Complete is false where the context ended first. The same signal again, from Next on, does what is left.
	Complete bool       `json:"complete"`
	Next     lineage.ID `json:"next,omitzero"`
}

// settling is how long decisions under way are waited for, at most.
const settling = 5 * time.Second

// Signal records a change of context and decides anew what it touches: the live tokens and tasks that carry the selector, or
// all where it has none. What would not be issued now is revoked, with the reasons in the lineage;
// everything else stays. What is suspended is decided anew when it is resumed, a refresh family at every refresh. New
// decisions see the change from the moment it is recorded.
//
// By must be an operator. ErrInvalid is a signal that has no meaning. Where ctx ends before all is decided anew, the
// outcome is not complete and the error nil. Any other error leaves open what was decided anew: the same signal can be
// sent again.
func (g *Governor) Signal(ctx context.Context, by Client, s Signal) (Outcome, error) {
	if !by.is(KindOperator) {
		return Outcome{}, g.answer(ctx, by, ErrForbidden)
	}
	if err := s.check(); err != nil {
		return Outcome{}, g.answer(ctx, by, err)
	}
	switch {
	case s.Reloaded:
		count, facts, err := g.announce(ctx, by)
		if err != nil {
			return Outcome{}, g.answer(ctx, by, err)
		}
		limited, cancel := g.cfg.Clock.WithTimeout(ctx, settling)
		passed := g.flights.pass(limited)
		cancel()
		out, err := g.reconsider(ctx, by, review{
			everything, lineage.Active, g.decidedByAnotherSet(facts), count, "another policy set is in force", s.After,
		})
		if passed != nil { // something may be decided by the set before, and come later
			out.Complete, out.Next = false, lineage.ID{}
		}
		return out, err
	case s.Ended:
		return g.endSession(ctx, by, s.Selector, s.After)
	}
	key, sel, what := envKey, everything, "the facts have changed"
	if s.Env == nil {
		key, sel, what = s.Selector.String(), s.Selector, "the context of the "+s.Selector.Kind+" has changed"
	}
	version, count, err := g.setFact(ctx, by, key, s)
	if err != nil {
		return Outcome{}, g.answer(ctx, by, err)
	}
	outdated := func(r lineage.Record) bool {
		b := r.Body
		return b.Facts[key] < version && slices.Contains(about(b.Client, b.Subject, b.Actors, b.Session.ID), key)
	}
	return g.reconsider(ctx, by, review{sel, lineage.Active, outdated, count, what, s.After})
}

// check refuses a signal that has no meaning.
func (s Signal) check() error {
	no := func(why string) error { return fmt.Errorf("%w: signal: %s", ErrInvalid, why) }
	about := s.Risk != "" || s.Attributes != nil || s.Assurance != nil || s.Ended
	parts := 0
	for _, set := range []bool{s.Env != nil, s.Reloaded, about || s.Selector != lineage.Selector{}} {
		if set {
			parts++
		}
	}
	if parts != 1 {
		return no("it must be about one thing")
	}
	if s.Env != nil || s.Reloaded {
		return nil
	}
	kind := s.Selector.Kind
	_, err := lineage.ParseSelector(s.Selector.String())
	switch {
	case !about:
		return no("it says nothing")
	case err != nil || !slices.Contains(factKinds, kind):
		return no("its selector is not a session, a subject, an actor or a client")
	case kind != lineage.SelectSession && (s.Assurance != nil || s.Ended):
		return no("only a session has an assurance, and an end")
	case s.Ended && (s.Risk != "" || s.Attributes != nil || s.Assurance != nil):
		return no("a session that is over has nothing else")
	case s.Risk != "" && s.Risk != riskUnknown && !slices.Contains(riskLevels, s.Risk):
		return no("an unknown level of risk")
	}
	if a := s.Assurance; a != nil {
		p := Principal{Party: lineage.Party{ID: "x"}, Session: lineage.Session{ACR: a.ACR, AMR: a.AMR}}
		if p.check() != nil {
			return no("unusable names in the assurance")
		}
	}
	return nil
}

// everything is what all that was ever decided carries.
var everything = lineage.Selector{Kind: lineage.SelectPath, Value: "/"}

// factKinds are the kinds of selector that facts can be about.
var factKinds = []string{lineage.SelectSession, lineage.SelectSubject, lineage.SelectActor, lineage.SelectClient}

// endSession cuts all that came from a session.
func (g *Governor) endSession(ctx context.Context, by Client, sel lineage.Selector, after lineage.ID) (Outcome, error) {
	tx := g.tx(g.now())
	if after.IsZero() {
		tx.Revocations = []lineage.Revocation{{Selector: sel, At: tx.Time, By: by.ID, Reason: "the session has ended"}}
	}
	if err := g.change(ctx, by, tx); err != nil {
		return Outcome{}, err
	}
	c, err := g.closure(ctx, sel, after)
	n := c.Tokens + c.Tasks + c.Families
	return Outcome{Examined: n, Revoked: n, Complete: c.Complete, Next: c.Next}, err
}

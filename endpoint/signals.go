package endpoint

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// signalTime is how long one answer decides anew. What is left then is for the same signal again.
const signalTime = 30 * time.Second

// maxSeconds bounds a time on the wire: it is one that can be written down.
const maxSeconds = 1 << 37

// serveSignal records a change of context and answers with what came of it.
func (h *Handler) serveSignal(c *call) error {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return err
	}
	var signal tokenboundary.Signal
	members, wrong := exchange.ReadObject(c.r)
	if wrong == nil {
		signal, wrong = readSignal(members)
	}
	if wrong != nil {
		signal = tokenboundary.Signal{}
	}
	limited, cancel := h.cfg.Clock.WithTimeout(c.r.Context(), signalTime)
	defer cancel()
	outcome, err := h.g.Signal(limited, by, signal)
	if wrong != nil || err != nil {
		return malformed(wrong, err)
	}
	return c.json(http.StatusAccepted, outcome)
}

// readSignal reads {"env"}, {"policies"}, or {"selector"} with at least one of "risk", "attributes", "assurance" and
// "ended"; beside each, "after" may say where to go on. A member that says nothing is refused: in a Signal it would be as
// if it was not there.
func readSignal(members map[string]json.RawMessage) (tokenboundary.Signal, error) {
	var s tokenboundary.Signal
	if raw, given := members["after"]; given {
		if json.Unmarshal(raw, &s.After) != nil || s.After.IsZero() {
			return s, bad("after is malformed")
		}
		members = maps.Clone(members)
		delete(members, "after")
	}
	var selector, policies string
	var risk, assurance map[string]json.RawMessage
	err := read(members, map[string]any{
		"env": &s.Env, "policies": &policies, "selector": &selector, "risk": &risk, "attributes": &s.Attributes,
		"assurance": &assurance, "ended": &s.Ended,
	})
	if err != nil {
		return s, err
	}
	has := func(name string) bool { return members[name] != nil }
	s.Reloaded = policies == "reloaded"
	switch {
	case len(members) == 0:
		return s, bad("the signal is empty")
	case !has("selector") && !has("env") && !has("policies"):
		return s, bad("selector is missing")
	case (has("env") || has("policies")) && len(members) > 1:
		return s, bad("env and policies stand alone")
	case has("selector") && len(members) == 1:
		return s, bad("the signal says nothing about its selector")
	}
	for name, said := range map[string]bool{
		"env": len(s.Env) > 0, "policies": s.Reloaded, "attributes": len(s.Attributes) > 0, "ended": s.Ended,
	} {
		if has(name) && !said {
			return s, bad(name + " is malformed")
		}
	}
	if !has("selector") {
		return s, nil
	}
	if s.Selector, err = lineage.ParseSelector(selector); err != nil {
		return s, bad("selector is malformed or of an unknown kind")
	}
	err = readContext(&s, risk, assurance)
	return s, err
}

// readContext reads what a signal says of a risk, {"level"}, and of an assurance; nil where it says nothing.
func readContext(s *tokenboundary.Signal, risk, assurance map[string]json.RawMessage) error {
	if risk != nil {
		if err := read(risk, map[string]any{"level": &s.Risk}); err != nil {
			return err
		}
		if s.Risk == "" {
			return bad("risk is malformed")
		}
	}
	if assurance == nil {
		return nil
	}
	var at int64
	s.Assurance = &tokenboundary.Assurance{}
	err := read(assurance, map[string]any{"acr": &s.Assurance.ACR, "amr": &s.Assurance.AMR, "auth_time": &at})
	switch {
	case err != nil:
		return err
	case len(assurance) == 0, assurance["auth_time"] != nil && (at <= 0 || at > maxSeconds):
		return bad("assurance is malformed")
	case at > 0:
		s.Assurance.AuthTime = time.Unix(at, 0).UTC()
	}
	return nil
}

package tokenboundary_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// payment covers an entry of a smaller or equal amount, and cannot decide about one without.
type payment struct{}

func (payment) Covers(parent, child json.RawMessage) (bool, error) {
	var p, c struct{ Amount int }
	if err := errors.Join(json.Unmarshal(parent, &p), json.Unmarshal(child, &c)); err != nil {
		return false, err
	}
	if c.Amount == 0 {
		return true, errors.New("no amount") // not covered, whatever it says beside the error
	}
	return c.Amount <= p.Amount, nil
}

func TestDetailsAreNarrowedByTheValidatorOfTheirType(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Details = map[string]tb.DetailType{"payment": payment{}} })
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		if len(f.Details) > 0 {
			require.NoError(t, json.Unmarshal(f.Details, &v.Details))
		}
		return v
	}
	with := func(req tb.Request, details string) tb.Request {
		req.Details = json.RawMessage(details)
		return req
	}
	root := w.granted(with(w.exchange("orchestrator", w.human("alice"), crm, "read"), `[{"amount":10,"type":"payment"}]`))
	require.JSONEq(t, `{"amount":10,"type":"payment"}`, string(root.Granted.Details[0]))
	child := func(details string) tb.Request {
		return with(w.exchange("researcher", host(root), crm, "read"), details)
	}

	less := w.granted(child(`[{"type":"payment","amount":4},{"type":"payment","amount":11}]`))
	require.Len(t, less.Granted.Details, 1, "what is covered is granted, the rest dropped")
	w.granted(with(w.exchange("tool", host(less), crm, "read"), `[{"type":"payment","amount":4}]`))
	w.refused(with(w.exchange("tool", host(less), crm, "read"), `[{"type":"payment","amount":5}]`), tb.CodeInvalidDetails, "none is granted")
	none := w.granted(w.exchange("researcher", host(root), crm, "read"))
	w.refused(with(w.exchange("tool", host(none), crm, "read"), `[{"type":"payment","amount":1}]`), tb.CodeInvalidDetails, "none is granted")

	for details, why := range map[string]string{
		`[{"type":"payment","amount":11}]`:                "none is granted",
		`[{"type":"payment"}]`:                            "none is granted",
		`[{"type":"other","amount":1}]`:                   "unknown type",
		`[{"Type":"payment","amount":1}]`:                 "unknown type",
		`[{"amount":1}]`:                                  "unknown type",
		`[{"type":"payment","type":"other"}]`:             "duplicate",
		`{"type":"payment","amount":1}`:                   "not an array",
		`[{"type":"payment","amount":1},{"type":"task"}]`: "unknown type",
	} {
		w.refused(child(details), tb.CodeInvalidDetails, why)
	}
}

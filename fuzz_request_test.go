package tokenboundary

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// sameEntry covers exactly itself.
type sameEntry struct{}

func (sameEntry) Covers(parent, child json.RawMessage) (bool, error) {
	return bytes.Equal(parent, child), nil
}

// FuzzGrantDetails holds that of authorization_details only entries are granted that were asked for, that the verdict grants
// and that the parent covers, and that a request has one form.
func FuzzGrantDetails(f *testing.F) {
	payment := `{"amount":"10","type":"payment"}`
	f.Add(`[`+payment+`]`, `[`+payment+`]`, `[`+payment+`]`)
	f.Add(`[`+payment+`,`+payment+`,{"type":"payment"}]`, `[{"type":"payment"}]`, ``)
	f.Add(`[{"Type":"payment"}]`, `[{"Type":"payment"}]`, ``)
	f.Add(`[{"type":"payment","\u0074ype":"x"}]`, `[]`, `[]`)
	f.Add(`[{"type":["payment"]},1,null]`, `[1,null]`, ``)
	f.Fuzz(func(t *testing.T, asked, granted, parent string) {
		req, err := Request{Details: json.RawMessage(asked)}.canonical()
		if err != nil {
			return
		}
		again, err := req.canonical()
		require.NoError(t, err)
		require.Equal(t, req, again, "one form")
		var verdict Verdict
		var ceiling *lineage.Authority
		if json.Unmarshal([]byte(granted), &verdict.Details) != nil {
			return
		}
		if parent != "" {
			ceiling = &lineage.Authority{}
			if json.Unmarshal([]byte(parent), &ceiling.Details) != nil {
				return
			}
		}
		h := &hop{g: &Governor{cfg: Config{Details: map[string]DetailType{"payment": sameEntry{}}}}, req: req}
		out, err := h.grantDetails(verdict, ceiling)
		if err != nil || len(req.Details) == 0 {
			require.Nil(t, out)
			return
		}
		require.NotEmpty(t, out)
		var entries []json.RawMessage
		require.NoError(t, json.Unmarshal(req.Details, &entries))
		require.LessOrEqual(t, len(out), len(entries))
		for _, d := range out {
			same := func(e json.RawMessage) bool { return bytes.Equal(e, d) }
			require.True(t, slices.ContainsFunc(entries, same))
			require.True(t, slices.ContainsFunc(verdict.Details, same))
			require.True(t, ceiling == nil || slices.ContainsFunc(ceiling.Details, same))
			var members map[string]any
			require.NoError(t, json.Unmarshal(d, &members))
			require.Equal(t, "payment", members["type"])
		}
	})
}

// FuzzTaskSpec holds that what a task is asked for has one form, in which nothing is more than was asked.
func FuzzTaskSpec(f *testing.F) {
	f.Add("triage", int64(60), `{"case":4711}`, "https://crm.example", "cases:read cases:read", "https://CRM.example/")
	f.Add("triage", int64(0), "", "", "", "")
	f.Add("a\n", int64(-1), "[]", "urn:a", "", "urn:b")
	f.Add("p", int64(1), `{"a":{"a":1},"a":2}`, "urn:a", "x", "urn:a")
	f.Add("p", int64(1), `{"case":4e471111}`, "urn:a", "x", "urn:a")
	f.Fuzz(func(t *testing.T, purpose string, seconds int64, context, one, scopes, other string) {
		spec := &TaskSpec{Purpose: purpose, ExpiresIn: time.Duration(seconds), Context: json.RawMessage(context)}
		for _, r := range []string{one, other} {
			if r != "" {
				spec.Authority = append(spec.Authority, lineage.Access{Resource: r, Scopes: strings.Fields(scopes)})
			}
		}
		req, err := Request{Resource: []string{one}, Scopes: strings.Fields(scopes), Task: spec}.canonical()
		if err != nil {
			return
		}
		again, err := req.canonical()
		require.NoError(t, err)
		require.Equal(t, req, again)
		require.Equal(t, purpose, req.Task.Purpose)
		require.Equal(t, time.Duration(seconds), req.Task.ExpiresIn)
		require.Len(t, req.Task.Authority, len(spec.Authority))
		seen := map[string]bool{}
		for _, a := range req.Task.Authority {
			require.False(t, seen[a.Resource], "a resource has one entry")
			seen[a.Resource] = true
			require.NotEmpty(t, a.Scopes)
			require.Subset(t, strings.Fields(scopes), a.Scopes)
		}
		if context != "" {
			require.JSONEq(t, context, string(req.Task.Context))
			require.Equal(t, byte('{'), req.Task.Context[0])
		}
	})
}

// FuzzFacts holds that what a signal makes of the facts can be read back, and that a signal that is known changes nothing.
func FuzzFacts(f *testing.F) {
	f.Add([]byte(`{"risk":"high","attributes":{"a":1},"assured":"2026-03-01T12:00:00Z"}`), []byte(`{"a":null,"b":[1.0]}`), "low", "urn:mfa")
	f.Add([]byte(`{"frozen":true}`), []byte(`{"frozen":null}`), "", "")
	f.Add([]byte(`{"assurance":{"acr":"a","amr":["x"]}}`), []byte(`null`), "medium", "a")
	f.Add([]byte("{\"attributes\":{\"\\ud800\":\"\xff\"}}"), []byte(`{"\u2028":1e400}`), "", "")
	f.Fuzz(func(t *testing.T, head, changes []byte, risk, acr string) {
		var values map[string]any
		if json.Unmarshal(changes, &values) != nil {
			return
		}
		about := Signal{Risk: risk, Attributes: values}
		if acr != "" {
			about.Assurance = &Assurance{ACR: acr}
		}
		for _, s := range []Signal{about, {Env: values}} {
			next, err := s.apply(store.Head{Version: 1, Value: head}, fuzzNow)
			if err != nil {
				require.Nil(t, next)
				continue
			}
			require.LessOrEqual(t, len(next), canon.MaxDetails)
			again, err := s.apply(store.Head{Version: 2, Value: next}, fuzzNow)
			require.NoError(t, err)
			require.Equal(t, string(next), string(again))
			var read partyFacts
			facts := map[string]any{}
			if s.Env != nil {
				require.NoError(t, json.Unmarshal(next, &facts))
			} else {
				require.NoError(t, json.Unmarshal(next, &read))
				facts = read.Attributes
			}
			for name, v := range values {
				if v == nil {
					require.NotContains(t, facts, name)
				} else {
					require.Equal(t, v, facts[name])
				}
			}
		}
	})
}

package tokenboundary_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// TestAFilterMeansTheDecisionItself, and not what it was made from.
func TestAFilterMeansTheDecisionItself(t *testing.T) {
	w := newWorld(t)
	start := w.clock.Now()
	parent := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.clock.Add(time.Minute)
	child := w.granted(w.exchange("researcher", host(parent), crm, "read"))
	w.clock.Add(time.Minute)
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{} }
	unbound := w.refused(w.exchange("orchestrator", w.human("bob"), crm, "read"), tb.CodeInvalidTarget, "denies")
	for name, c := range map[string]struct {
		filter tb.RecallFilter
		want   []lineage.ID
	}{
		"all, those of no path too": {tb.RecallFilter{}, []lineage.ID{parent.ID, child.ID, unbound.ID}},
		"since":                     {tb.RecallFilter{Since: start.Add(time.Minute)}, []lineage.ID{child.ID, unbound.ID}},
		"until":                     {tb.RecallFilter{Until: start.Add(time.Minute)}, []lineage.ID{parent.ID}},
		"a client":                  {tb.RecallFilter{Client: "orchestrator"}, []lineage.ID{parent.ID, unbound.ID}},
		"another client":            {tb.RecallFilter{Client: "researcher"}, []lineage.ID{child.ID}},
		"a path":                    {tb.RecallFilter{Path: "/agents/orchestrator"}, []lineage.ID{parent.ID}},
		"a path above":              {tb.RecallFilter{Path: "/agents"}, []lineage.ID{parent.ID, child.ID}},
		"not half a name":           {tb.RecallFilter{Path: "/agents/orch"}, nil},
		"the root":                  {tb.RecallFilter{Path: "/"}, []lineage.ID{parent.ID, child.ID, unbound.ID}},
		"both":                      {tb.RecallFilter{Path: "/agents/researcher", Client: "researcher"}, []lineage.ID{child.ID}},
		"neither":                   {tb.RecallFilter{Path: "/agents/researcher", Client: "orchestrator"}, nil},
	} {
		var got []lineage.ID
		for _, p := range w.past(c.filter) {
			got = append(got, p.Record.ID())
		}
		require.Equal(t, c.want, got, name)
	}
}

// TestAllIsReadInPartsAndInOrder: more than one batch, each decision with what it came from, also where that is in
// another batch or before the beginning.
func TestAllIsReadInPartsAndInOrder(t *testing.T) {
	w := newWorld(t)
	parent := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	var want []lineage.ID
	for range 600 {
		w.clock.Add(100 * time.Millisecond)
		want = append(want, w.granted(w.exchange("researcher", host(parent), crm, "read")).ID)
	}
	for i, p := range w.past(tb.RecallFilter{Client: "researcher"}) {
		require.Equal(t, want[i], p.Record.ID())
		a := w.anew(p)
		require.Equal(t, tb.Allow, a.Effect)
		require.Equal(t, parent.ID.String(), a.Asked[0].Parent.ID)
	}
	n := 0
	for range w.recall().All(w.ctx, tb.RecallFilter{}) {
		if n++; n == 300 {
			break
		}
	}
	require.Equal(t, 300, n, "whoever has enough stops")
}

// TestARecordIsReadWithWhatItNeedsOrNotAtAll.
func TestARecordIsReadWithWhatItNeedsOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	parent := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	child := w.granted(w.exchange("researcher", host(parent), crm, "read"))
	_, err := w.recall().One(w.ctx, lineage.IDOf([]byte("nothing")))
	require.ErrorIs(t, err, tb.ErrNotFound)
	_, err = w.recall().One(w.ctx, lineage.ID{})
	require.ErrorIs(t, err, tb.ErrNotFound)
	_, err = tb.Recall{Store: w.store, Issuer: "https://other.example"}.One(w.ctx, child.ID)
	require.ErrorIs(t, err, tb.ErrNotFound)
	failures := 0
	for _, op := range []storetest.Op{storetest.Get, storetest.Heads, storetest.Scan} {
		for n := 0; ; n++ {
			faulty := storetest.FailOn(w.store, op, errors.New("boom")).After(n)
			r := tb.Recall{Store: faulty, Issuer: issuer}
			_, err := r.One(w.ctx, child.ID)
			for _, e := range r.All(w.ctx, tb.RecallFilter{}) {
				err = errors.Join(err, e)
			}
			if faulty.Calls() <= n {
				require.NoError(t, err)
				break
			}
			failures++
			require.ErrorIs(t, err, tb.ErrUnavailable, fmt.Sprint(op, n))
		}
	}
	require.GreaterOrEqual(t, failures, 5)
	p, err := w.recall().One(w.ctx, child.ID)
	require.NoError(t, err)
	require.Equal(t, tb.Allow, w.anew(p).Effect, "control")
}

// TestOutsideAuthorityIsNotRecorded: what was limited by it cannot be asked again, and says so; what was not can.
func TestOutsideAuthorityIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	w.policy = func(f tb.Facts) tb.Verdict { // says why a scope is dropped, as package policy does
		v := grantAll(f)
		for _, s := range f.Scopes {
			if f.Ceiling != nil && !contains(f.Ceiling.Scopes(crm), s) {
				v.Reasons = append(v.Reasons, lineage.Reason{Resource: crm, Scope: s, Why: "not held by what it is made from"})
			}
		}
		return v
	}
	limited := func(scopes ...string) tb.Request {
		subject := w.human("alice")
		subject.Verified.Identity = false
		subject.Verified.Authority = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, Depth: 3}
		return w.exchange("orchestrator", subject, crm, scopes...)
	}
	w.granted(limited("read", "write"))
	require.Equal(t, tb.SkipOutside, w.last().Skip)
	w.clock.Add(time.Second)
	w.granted(limited("read"))
	require.Empty(t, w.last().Skip)
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, w.anew(w.last()).Access)
}

// TestDetailsAreAskedAgainWhereTheirTypeIsKnown: what a type covers is not recorded, and nothing is made up for it.
func TestDetailsAreAskedAgainWhereTheirTypeIsKnown(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Details = map[string]tb.DetailType{"payment": payment{}} })
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grantAll(f)
		require.NoError(t, json.Unmarshal(f.Details, &v.Details))
		return v
	}
	pay := func(client string, subject tb.Credential, amounts ...int) tb.Request {
		req := w.exchange(client, subject, crm, "read")
		var entries []string
		for _, n := range amounts {
			entries = append(entries, fmt.Sprintf(`{"amount":%d,"type":"payment"}`, n))
		}
		req.Details = json.RawMessage("[" + strings.Join(entries, ",") + "]")
		return req
	}
	root := w.granted(pay("orchestrator", w.human("alice"), 10))
	less := w.granted(pay("researcher", host(root), 4, 11))
	none := w.refused(pay("researcher", host(root), 12), tb.CodeInvalidDetails, "none is granted")
	for id, want := range map[lineage.ID]int{root.ID: 1, less.ID: 1, none.ID: 0} {
		p, err := w.recall().One(w.ctx, id)
		require.NoError(t, err)
		require.Equal(t, tb.SkipDetails, p.Skip)
		knows := w.recall()
		knows.Details = w.cfg.Details
		p, err = knows.One(w.ctx, id)
		require.NoError(t, err)
		a := w.anew(p)
		sameAnswer(t, p.Answer(), a, "")
		require.Len(t, a.Details, want)
	}
}

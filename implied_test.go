package tokenboundary_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// implying makes "write" imply "read" in what the policy of a world says, at these resources, or at all where there are none.
func implying(at ...string) func(*world) {
	return func(w *world) {
		grant := w.policy
		w.policy = func(f tb.Facts) tb.Verdict {
			v := grant(f)
			for i := range v.Access {
				if len(at) == 0 || contains(at, v.Access[i].Resource) {
					imply(&v, &v.Access[i], f.Ceiling)
				}
			}
			return v
		}
	}
}

func imply(v *tb.Verdict, a *lineage.Access, ceiling *lineage.Authority) {
	out := ceiling != nil && !contains(ceiling.Scopes(a.Resource), "read")
	if !contains(a.Scopes, "write") || contains(a.Scopes, "read") || out {
		return
	}
	a.Scopes = append([]string{"read"}, a.Scopes...)
	v.Implied = append(v.Implied, lineage.Access{Resource: a.Resource, Scopes: []string{"read"}})
	for _, r := range v.Reasons {
		if r.Resource == a.Resource && r.Scope == "write" {
			r.Scope, r.Why = "read", "implied by write"
			v.Reasons = append(v.Reasons, r)
		}
	}
	for i, o := range v.Obligations {
		if contains(o.Scopes, "write") {
			v.Obligations[i].Scopes = append(slices.Clone(o.Scopes), "read")
		}
	}
}

var readWrite = []string{"read", "write"}

func scopesOf(tok tb.Token) string { return strings.Join(tok.Scopes, " ") }

// What is implied stands in the record as any other scope does, and can be derived from it.
func TestWhatIsImpliedIsGrantedAndCanBeDerived(t *testing.T) {
	w := newWorld(t, implying())
	d := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.Equal(t, readWrite, d.Granted.Scopes(crm))
	r := w.record(d.ID)
	require.Equal(t, []string{"write"}, r.Body.Requested.Scopes)
	require.Equal(t, readWrite, r.Body.Granted.Scopes(crm))
	at := slices.IndexFunc(r.Body.Reasons, func(x lineage.Reason) bool { return x.Scope == "read" })
	require.Equal(t, "implied by write", r.Body.Reasons[at].Why)

	child := w.granted(w.exchange("researcher", host(d), crm, "read"))
	require.Equal(t, []string{"read"}, child.Granted.Scopes(crm))
	require.True(t, r.Derivable().Covers(child.Granted))
	w.refused(w.exchange("tool", host(child), crm, "write"), tb.CodeInvalidScope, "nothing is left")
	deeper := w.granted(w.exchange("tool", host(d), crm, "write"))
	require.Equal(t, readWrite, deeper.Granted.Scopes(crm))

	w = newWorld(t) // where nothing is implied
	d = w.granted(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.Equal(t, []string{"write"}, d.Granted.Scopes(crm))
	w.refused(w.exchange("researcher", host(d), crm, "read"), tb.CodeInvalidScope, "nothing is left")
}

// A verdict that grants more than was asked for has to say that it is implied, and cannot leave the ceiling with that.
func TestAVerdictThatGrantsMoreIsADefectUnlessItIsImplied(t *testing.T) {
	wide := []lineage.Access{{Resource: crm, Scopes: []string{"admin"}}}
	for name, c := range map[string]struct {
		change func(*tb.Verdict)
		derive bool
		ok     bool
	}{
		"implied":               {func(v *tb.Verdict) { v.Implied, v.Access[0].Scopes = wide, []string{"admin", "write"} }, false, true},
		"not said":              {func(v *tb.Verdict) { v.Access[0].Scopes = []string{"admin", "write"} }, false, false},
		"said of another scope": {func(v *tb.Verdict) { v.Implied, v.Access[0].Scopes = wide, []string{"admin", "root", "write"} }, false, false},
		"said of another resource": {func(v *tb.Verdict) {
			v.Implied, v.Access[0].Scopes = []lineage.Access{{Resource: mail, Scopes: []string{"admin"}}}, []string{"admin", "write"}
		}, false, false},
		"not granted": {func(v *tb.Verdict) { v.Implied = wide }, false, false},
		"not held":    {func(v *tb.Verdict) { v.Implied, v.Access[0].Scopes = wide, []string{"admin", "write"} }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			req := w.exchange("orchestrator", w.human("alice"), crm, "write")
			if c.derive {
				req = w.exchange("researcher", host(w.granted(req)), crm, "write")
			}
			grant := w.policy
			w.policy = func(f tb.Facts) tb.Verdict {
				v := grant(f)
				if !c.derive || f.Client.ID == "researcher" {
					c.change(&v)
				}
				return v
			}
			req.Enforce = everything
			d, err := w.Decide(w.ctx, req)
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, []string{"admin", "write"}, d.Granted.Scopes(crm))
				return
			}
			require.ErrorIs(t, err, tb.ErrUnavailable)
		})
	}
}

// A host that cannot set scopes may act on an answer that adds only what is implied; it is no narrowing.
func TestWhatIsImpliedIsNoNarrowing(t *testing.T) {
	w := newWorld(t, implying())
	try := func(scopes ...string) tb.Decision {
		req := w.exchange("orchestrator", w.human("alice"), crm, scopes...)
		req.Enforce = everything &^ tb.CapScopes
		d, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		return d
	}
	require.Equal(t, tb.Allow, try("write").Effect)
	require.Equal(t, tb.Allow, try("read", "write").Effect)
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		f.Scopes = slices.DeleteFunc(slices.Clone(f.Scopes), func(s string) bool { return s == "send" })
		return grant(f)
	}
	require.Equal(t, tb.CodeInvalidScope, try("send", "write").Code)
}

// One token has one set of scopes. What only one resource implies is left out; it does not keep the rest from being granted.
func TestWhatOneResourceImpliesIsLeftOutForSeveral(t *testing.T) {
	w := newWorld(t, implying(crm))
	req := w.exchange("orchestrator", w.human("alice"), "", "write")
	req.Resource = []string{crm, mail}
	d := w.granted(req)
	require.Equal(t, [2][]string{{"write"}, {"write"}}, [2][]string{d.Granted.Scopes(crm), d.Granted.Scopes(mail)})
	at := slices.IndexFunc(d.Reasons, func(x lineage.Reason) bool { return x.Scope == "read" })
	require.Equal(t, lineage.Reason{
		Resource: crm, Scope: "read", Rule: "/agents/orchestrator#all", Why: "implied, but not granted at every resource",
	}, d.Reasons[at])

	w = newWorld(t, implying())
	req.Client, req.Subject = w.as("orchestrator"), w.human("alice")
	d = w.granted(req)
	require.Equal(t, [2][]string{readWrite, readWrite}, [2][]string{d.Granted.Scopes(crm), d.Granted.Scopes(mail)})
}

// A task's authority is granted whole, with what it implies.
func TestATaskHoldsWhatItsAuthorityImplies(t *testing.T) {
	w := newWorld(t, refreshing, implying())
	req := w.exchange("orchestrator", w.human("alice"), "")
	req.Task = &tb.TaskSpec{Purpose: "triage", ExpiresIn: time.Hour, Authority: []lineage.Access{{Resource: crm, Scopes: []string{"write"}}}}
	task := w.issued(req)
	w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	require.Equal(t, tb.Outcome{Examined: 3, Kept: 3, Complete: true}, w.risk("subject:alice", "low"))
	next := w.issued(w.again("orchestrator", task.RefreshValue()))
	w.issued(w.exchange("researcher", bearer(next), crm, "read"))
}

func TestWhatIsImpliedIsRefreshed(t *testing.T) {
	w := newWorld(t, refreshing, implying())
	first := w.begun("write")
	require.Equal(t, "read write", scopesOf(first))
	second := w.issued(w.again("orchestrator", first.RefreshValue()))
	require.Equal(t, "read write", scopesOf(second))
	third := w.issued(w.again("orchestrator", second.RefreshValue(), "read"))
	require.Equal(t, "read", scopesOf(third))
	fourth := w.issued(w.again("orchestrator", third.RefreshValue(), "write"))
	require.Equal(t, "read write", scopesOf(fourth))
	require.True(t, w.active(fourth))
}

// A token that holds what is implied lives for as long as that is.
func TestWhatIsImpliedIsDecidedAnew(t *testing.T) {
	w := newWorld(t, minting)
	plain := w.policy
	implying()(w)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	other := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.Equal(t, tb.Outcome{Examined: 2, Kept: 2, Complete: true}, w.risk("subject:alice", "low"))
	w.policy = plain
	require.Equal(t, tb.Outcome{Examined: 2, Kept: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "medium"))
	require.False(t, w.active(tok))
	require.Contains(t, w.feed(ops)[0].Reason, "less would be granted now")
	require.True(t, w.active(other))
}

// What is held back holds back what it implies, and both are released together.
func TestAnApprovalReleasesWhatIsImplied(t *testing.T) {
	w := newWorld(t, approving, implying())
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	a := w.approved(d)
	require.Equal(t, readWrite, a.Granted.Scopes(crm))
	w.clock.Add(5 * time.Second)
	require.Equal(t, "read write", scopesOf(w.polled("orchestrator", d)))

	_, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "write"))
	d = w.denies(err, tb.CodeInvalidScope, "nothing is left")
	for _, r := range d.Reasons {
		require.False(t, r.Granted, r)
	}
}

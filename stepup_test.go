package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func stepUp(args ...string) lineage.Obligation {
	o := lineage.Obligation{Kind: "step_up", Scopes: []string{"write"}, Args: map[string]string{}}
	for i := 0; i < len(args); i += 2 {
		o.Args[args[i]] = args[i+1]
	}
	return o
}

// assured signals how the subject of a session is authenticated now.
func (w *world) assured(session string, a tb.Assurance) tb.Outcome {
	w.Helper()
	out, err := w.Signal(w.ctx, ops, tb.Signal{Selector: lineage.Selector{Kind: "session", Value: session}, Assurance: &a})
	require.NoError(w, err)
	return out
}

// TestAStepUpIsMetByHowTheSessionIsAuthenticated: alice logged in with aal2, sixty seconds ago.
func TestAStepUpIsMetByHowTheSessionIsAuthenticated(t *testing.T) {
	for name, c := range map[string]struct {
		o   lineage.Obligation
		met bool
	}{
		"acr":                     {stepUp("acr", "aal2"), true},
		"another acr":             {stepUp("acr", "aal3"), false},
		"acr of another spelling": {stepUp("acr", "AAL2"), false},
		"age":                     {stepUp("max_age", "60"), true},
		"longer ago":              {stepUp("max_age", "59"), false},
		"both":                    {stepUp("acr", "aal2", "max_age", "60"), true},
		"acr only of both":        {stepUp("acr", "aal2", "max_age", "59"), false},
		"age only of both":        {stepUp("acr", "aal3", "max_age", "60"), false},
		"neither is said":         {stepUp(), false},
		"empty":                   {stepUp("acr", "", "max_age", ""), false},
		"no number":               {stepUp("max_age", "1h"), false},
		"negative":                {stepUp("max_age", "-1"), false},
		"huge":                    {stepUp("max_age", "99999999999999999999"), false},
		"of another kind":         {lineage.Obligation{Kind: "stepup", Scopes: []string{"write"}, Args: map[string]string{"acr": "aal2"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			w.policy = obliged(grantAll, c.o)
			tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
			require.Equal(t, c.met, contains(tok.Scopes, "write"), "dropped where it is not met")
			require.Contains(t, tok.Scopes, "read")
			_, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "write"))
			if c.met {
				require.NoError(t, err)
				return
			}
			d := w.denies(err, tb.CodeInvalidScope, "nothing is left")
			require.Equal(t, c.o.Kind, d.Obligations[0].Kind)
			require.Contains(t, d.Reasons[0].Why, "an obligation is not met: "+c.o.Kind)
		})
	}
}

func TestALoginThatDoesNotSayWhenIsOfAnyAge(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = obliged(grantAll, stepUp("max_age", "60"))
	undated := w.human("alice")
	undated.Verified.Session.AuthTime = time.Time{}
	_, err := w.Issue(w.ctx, w.exchange("orchestrator", undated, crm, "write"))
	w.denies(err, tb.CodeInvalidScope, "nothing is left")
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
}

func TestALoginThatIsYetToComeIsOfNoAge(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = obliged(grantAll, stepUp("max_age", "60"))
	for ahead, met := range map[time.Duration]bool{time.Hour: false, time.Second: true} { // as far as clocks may differ
		login := w.human("alice")
		login.Verified.Session.AuthTime = w.clock.Now().Add(ahead)
		tok := w.issued(w.exchange("orchestrator", login, crm, "read", "write"))
		require.Equal(t, met, contains(tok.Scopes, "write"), "ahead by %s", ahead)
	}
}

func TestARequestWaitsUntilTheSessionHasSteppedUp(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = obliged(grantAll, stepUp("acr", "aal3", "max_age", "30"))
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.Equal(t, "step_up", d.Obligations[0].Kind)
	require.Equal(t, map[string]string{"acr": "aal3", "max_age": "30"}, d.Obligations[0].Args)
	w.stillWaits("orchestrator", d)
	require.Empty(t, w.open(lead), "nobody is asked")
	_, err := w.Approve(w.ctx, lead, d.ID, true)
	require.ErrorIs(t, err, tb.ErrForbidden)

	w.assured("s-bob", tb.Assurance{ACR: "aal3", AuthTime: w.clock.Now()})
	w.stillWaits("orchestrator", d)
	w.assured("s-alice", tb.Assurance{ACR: "aal2", AuthTime: w.clock.Now()})
	w.stillWaits("orchestrator", d)
	w.assured("s-alice", tb.Assurance{ACR: "aal3", AuthTime: w.clock.Now().Add(-time.Minute)})
	w.stillWaits("orchestrator", d)
	_, err = w.poll("orchestrator", d)
	w.denies(err, tb.CodeSlowDown, "not yet") // the same rules of polling
	w.assured("s-alice", tb.Assurance{ACR: "aal3", AuthTime: w.clock.Now(), AMR: []string{"hwk"}})
	tok := w.polled("orchestrator", d)
	require.Equal(t, []string{"write"}, tok.Scopes)
	b := w.record(tok.ID).Body
	require.Equal(t, &lineage.Approved{ID: d.ID, At: w.clock.Now().UTC()}, b.Approved, "by nobody")
	_, err = w.poll("orchestrator", d)
	w.denies(err, tb.CodeInvalidGrant, "answered with a token already")

	s, err := w.Introspect(w.ctx, ops, tok.Value())
	require.NoError(t, err)
	require.True(t, s.Active)
	require.Equal(t, "aal3", s.Claims.ACR, "it says what it waited for")
	require.NotZero(t, s.Claims.AuthTime)
	require.Equal(t, []string{"hwk"}, s.Claims.AMR)
	w.clock.Add(time.Minute)
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.risk("session:s-alice", "low"), "it would not be issued now")
}

func TestAnAgentCannotStepUp(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = obliged(grantAll, stepUp("acr", "aal3"))
	workload := w.outside(party("job", idp))
	workload.Verified.Session = lineage.Session{ID: "s-job", ACR: "aal3", AuthTime: w.clock.Now()}
	nameless := w.human("alice")
	nameless.Verified.Session.ID = ""
	for name, req := range map[string]tb.Request{
		"a client itself":           {Grant: tb.ClientCredentials, Client: w.as("tool"), Resource: []string{crm}, Scopes: []string{"write"}},
		"a workload's session":      w.exchange("tool", workload, crm, "write"),
		"a human without a session": w.exchange("tool", nameless, crm, "write"),
	} {
		for _, session := range []string{"s-job", "tool"} {
			w.assured(session, tb.Assurance{ACR: "aal3", AuthTime: w.clock.Now()})
		}
		req.Deferrable = true
		_, err := w.Issue(w.ctx, req)
		d := w.denies(err, tb.CodeInvalidScope, "nothing is left")
		require.Nil(t, d.Deferral, "%s: waiting cannot help", name)
	}
	w.waits(w.exchange("tool", w.human("alice"), crm, "write"))
	strong := w.human("alice")
	strong.Verified.Session.ACR = "aal3"
	w.issued(w.exchange("tool", strong, crm, "write"))
}

func TestAnAssuranceReachesPoliciesAndRaisesNoToken(t *testing.T) {
	w := newWorld(t, minting)
	var seen lineage.Session
	w.policy = func(f tb.Facts) tb.Verdict { seen = f.Session; return grantAll(f) }
	claims := func(tok tb.Token) tb.Claims {
		s, err := w.Introspect(w.ctx, ops, tok.Value())
		require.NoError(t, err)
		require.True(t, s.Active)
		return s.Claims
	}
	login := w.human("alice")
	old := w.issued(w.exchange("orchestrator", login, crm, "read"))
	before := claims(old)
	require.Equal(t, "aal2", before.ACR)
	at := login.Verified.Session.AuthTime
	require.Equal(t, at.Unix(), before.AuthTime)

	require.Equal(t, tb.Outcome{Examined: 1, Kept: 1, Complete: true},
		w.assured("s-alice", tb.Assurance{ACR: "aal3", AuthTime: at, AMR: []string{"hwk", "pin"}}))
	require.Equal(t, "aal3", seen.ACR)
	require.Equal(t, []string{"hwk", "pin"}, seen.AMR)
	require.Equal(t, at, seen.AuthTime)
	require.Equal(t, "human", seen.Kind)
	require.Equal(t, before, claims(old), "an issued token stays what it is")

	derived := claims(w.issued(w.exchange("researcher", bearer(old), crm, "read")))
	require.Zero(t, derived.ACR, "neither raised, nor what no longer holds")
	require.Equal(t, at.Unix(), derived.AuthTime, "which still holds")
	require.Equal(t, "s-alice", derived.SessionID)
	again := claims(w.issued(w.exchange("tool", login, crm, "read")))
	require.Zero(t, again.ACR)

	w.assured("s-alice", tb.Assurance{ACR: "aal2", AuthTime: at})
	derived = claims(w.issued(w.exchange("researcher", bearer(old), crm, "read")))
	require.Equal(t, "aal2", derived.ACR, "it holds again")
}

func TestATokenDiesWhenItsSessionIsLessAssured(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = obliged(grantAll, stepUp("acr", "aal2"))
	writing, reading := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write")), w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	other := w.issued(w.exchange("orchestrator", w.human("bob"), crm, "write"))
	require.Equal(t, tb.Outcome{Examined: 2, Kept: 1, Revoked: 1, Complete: true}, w.assured("s-alice", tb.Assurance{ACR: "aal1"}))
	require.Equal(t, lineage.Revoked, w.state(writing.ID))
	require.Equal(t, lineage.Active, w.state(reading.ID))
	require.Equal(t, lineage.Active, w.state(other.ID))
}

func TestARequestMayWaitForAnApprovalAndAStepUp(t *testing.T) {
	for _, first := range []string{"approval", "step_up"} {
		w := newWorld(t, minting)
		w.policy = obliged(grantAll, stepUp("acr", "aal3"), approvalBy("leads", "write"))
		d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
		require.Len(t, d.Obligations, 2)
		if first == "approval" {
			w.approved(d)
			w.stillWaits("orchestrator", d)
			w.assured("s-alice", tb.Assurance{ACR: "aal3"})
		} else {
			w.assured("s-alice", tb.Assurance{ACR: "aal3"})
			w.stillWaits("orchestrator", d)
			w.approved(d)
		}
		require.Equal(t, []string{"write"}, w.polled("orchestrator", d).Scopes)
	}
}

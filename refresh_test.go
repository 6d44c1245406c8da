package tokenboundary_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// refreshing mints, lets every agent refresh, and every scope but "once" be refreshed.
func refreshing(w *world) {
	minting(w)
	for id, c := range w.clients {
		if c.Kind == tb.KindAgent {
			c.Grants = []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh}
			w.clients[id] = c
		}
	}
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		for i, r := range v.Reasons {
			v.Reasons[i].Refresh = r.Scope != "once"
		}
		return v
	}
}

func refreshToken(value string) tb.Credential {
	return tb.Credential{Type: tb.TypeRefreshToken, Value: value}
}

// again is a client's request to be granted again what the refresh token stands for, or these scopes of it.
func (w *world) again(client, value string, scopes ...string) tb.Request {
	return tb.Request{Grant: tb.Refresh, Client: w.as(client), Subject: refreshToken(value), Scopes: scopes}
}

// unissued issues and requires a refusal with this code and, in the decision, this reason.
func (w *world) unissued(req tb.Request, code tb.Code, why string) tb.Decision {
	w.Helper()
	tok, err := w.Issue(w.ctx, req)
	var no *tb.DeniedError
	require.ErrorAs(w, err, &no)
	d := no.Decision
	require.Equal(w, code, d.Code, "%+v", d.Reasons)
	require.Contains(w, d.Reasons[len(d.Reasons)-1].Why, why)
	require.Empty(w, tok.Value()+tok.RefreshValue())
	return d
}

// begun is alice's token for the orchestrator, with a refresh token.
func (w *world) begun(scopes ...string) tb.Token {
	w.Helper()
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, scopes...))
	require.NotEmpty(w, tok.RefreshValue())
	return tok
}

// chain returns the records from the root down to id.
func (w *world) chain(id lineage.ID) []lineage.Record {
	w.Helper()
	nodes, err := w.Lineage(w.ctx, ops, id)
	require.NoError(w, err)
	out := make([]lineage.Record, len(nodes))
	for i, n := range nodes {
		out[i] = n.Record
	}
	return out
}

// family returns the record of the innermost refresh family that a token stands under.
func (w *world) family(id lineage.ID) lineage.Record {
	w.Helper()
	chain := w.chain(id)
	for i := len(chain) - 1; i >= 0; i-- {
		if chain[i].Kind == lineage.KindGrant {
			return chain[i]
		}
	}
	require.Fail(w, "no refresh family")
	return lineage.Record{}
}

// active asks as the resource itself whether a token is good.
func (w *world) active(tok tb.Token) bool {
	w.Helper()
	s, err := w.Introspect(w.ctx, w.client("crm"), tok.Value())
	require.NoError(w, err)
	return s.Active
}

func TestARefreshTokenComesOnlyFromARuleToAClientThatMayRefresh(t *testing.T) {
	w := newWorld(t, refreshing)
	mayNot := w.clients["stranger"]
	mayNot.Grants = []tb.Grant{tb.ClientCredentials, tb.Exchange}
	w.clients["stranger"] = mayNot

	alice := w.human("alice")
	with := w.issued(w.exchange("orchestrator", alice, crm, "read"))
	require.NotEmpty(t, with.RefreshValue())
	require.Empty(t, w.issued(w.exchange("orchestrator", alice, crm, "once")).RefreshValue(), "no rule lets it be refreshed")
	require.Empty(t, w.issued(w.exchange("stranger", alice, crm, "read")).RefreshValue(), "the client may not")
	require.NotEmpty(t, w.issued(asked(w.as("tool"))).RefreshValue(), "whatever the grant")
	require.Empty(t, w.issued(asked(w.as("stranger"))).RefreshValue())

	w.unissued(w.again("stranger", with.RefreshValue()), tb.CodeUnauthorizedClient, "may not use this grant")
	require.NotEmpty(t, w.issued(w.again("orchestrator", with.RefreshValue())).RefreshValue())
}

func TestNothingInTheStoreIsARefreshToken(t *testing.T) {
	for name, grace := range map[string]time.Duration{"no grace": 0, "grace": time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing, func(w *world) { w.cfg.Lifetimes.RefreshGrace = grace })
			spy := w.spied()
			tok := w.begun("read")
			next := w.issued(w.again("orchestrator", tok.RefreshValue()))
			all := spy.dump(w)
			for _, value := range []string{tok.RefreshValue(), next.RefreshValue()} {
				_, encoded, _ := strings.Cut(value, "_")
				raw, err := base64.RawURLEncoding.DecodeString(encoded)
				require.NoError(t, err)
				secret := raw[40:72]
				digest := sha256.Sum256(secret)
				require.Contains(t, all, base64.StdEncoding.EncodeToString(digest[:]), "positive control: its digest is there")
				for _, s := range []string{
					value, encoded, string(raw), string(secret), base64.StdEncoding.EncodeToString(raw),
					base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret),
				} {
					require.NotContains(t, all, s)
				}
			}
			require.NotContains(t, all, next.Value(), "nor an access token")
			require.Contains(t, all, next.ID.String(), "positive control")
		})
	}
}

func TestARefreshTokenThatWasUsedEndsItsFamily(t *testing.T) {
	w := newWorld(t, refreshing)
	first, other := w.begun("read"), w.begun("read")
	second := w.issued(w.again("orchestrator", first.RefreshValue()))
	third := w.issued(w.again("orchestrator", second.RefreshValue()))
	derived := w.issued(w.exchange("researcher", bearer(third), crm, "read"))
	require.Len(t, map[string]bool{first.RefreshValue(): true, second.RefreshValue(): true, third.RefreshValue(): true}, 3)
	for _, tok := range []tb.Token{first, second, third, derived} {
		require.True(t, w.active(tok), "an older access token lives on until it expires")
	}
	require.Empty(t, w.feed(ops))

	d := w.unissued(w.again("orchestrator", first.RefreshValue()), tb.CodeInvalidGrant, "used before")
	for _, tok := range []tb.Token{first, second, third, derived} {
		require.False(t, w.active(tok))
		require.Equal(t, lineage.Revoked, w.state(tok.ID))
	}
	w.unissued(w.again("orchestrator", third.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
	w.unissued(w.again("orchestrator", first.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
	w.restart()
	w.unissued(w.again("researcher", derived.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")

	entries := w.feed(ops)
	require.Len(t, entries, 1, "one write, whatever the number of tokens")
	family := w.family(first.ID)
	require.Equal(t, lineage.Selector{Kind: lineage.SelectToken, Value: family.ID().String()}, entries[0].Selector)
	require.Equal(t, "orchestrator", entries[0].By)
	require.Contains(t, entries[0].Reason, "used twice")
	found := false
	for n, err := range w.Descendants(w.ctx, ops, family.ID()) {
		require.NoError(t, err)
		found = found || n.Record.ID() == d.ID && n.State == lineage.Denied
	}
	require.True(t, found, "the reuse belongs into the lineage of the family")

	require.True(t, w.active(other), "another family of the same client and subject")
	w.issued(w.again("orchestrator", other.RefreshValue()))
}

func TestAStrangersAttemptBurnsNothing(t *testing.T) {
	w := newWorld(t, refreshing)
	elsewhere := newWorld(t, refreshing)
	tok := w.begun("read")
	good := tok.RefreshValue()
	flip := func(at int) string {
		raw, err := base64.RawURLEncoding.DecodeString(good[4:])
		require.NoError(t, err)
		raw[at] ^= 1
		return "tbr_" + base64.RawURLEncoding.EncodeToString(raw)
	}
	const notOurs = "not a refresh token of this boundary"
	for name, c := range map[string]struct{ client, value, why string }{
		"another client":         {"researcher", good, "issued to another client"},
		"another family":         {"orchestrator", flip(0), notOurs},
		"another generation":     {"orchestrator", flip(39), notOurs},
		"another secret":         {"orchestrator", flip(40), notOurs},
		"another MAC":            {"orchestrator", flip(87), notOurs},
		"cut short":              {"orchestrator", good[:len(good)-1], notOurs},
		"longer":                 {"orchestrator", good + "A", notOurs},
		"another alphabet":       {"orchestrator", good[:50] + "+" + good[51:], notOurs},
		"of another boundary":    {"orchestrator", elsewhere.begun("read").RefreshValue(), notOurs},
		"an access token":        {"orchestrator", tok.Value(), notOurs},
		"the id of the family":   {"orchestrator", w.family(tok.ID).ID().String(), notOurs},
		"the id, dressed as one": {"orchestrator", "tbr_" + w.family(tok.ID).ID().String(), notOurs},
		"nothing":                {"orchestrator", "", notOurs},
	} {
		t.Run(name, func(t *testing.T) {
			w.unissued(w.again(c.client, c.value), tb.CodeInvalidGrant, c.why)
		})
	}
	wrong := w.again("orchestrator", good)
	wrong.Subject.Type = tb.TypeAccessToken
	w.unissued(wrong, tb.CodeInvalidGrant, notOurs)
	wrong.Grant = tb.Exchange
	wrong.Subject.Type = tb.TypeRefreshToken
	w.unissued(wrong, tb.CodeInvalidRequest, "no token")
	wrong = w.again("orchestrator", "")
	wrong.Subject = tb.Credential{Type: tb.TypeRefreshToken, Verified: &tb.Principal{Lineage: w.family(tok.ID).ID()}}
	w.unissued(wrong, tb.CodeInvalidGrant, notOurs)

	require.Empty(t, w.feed(ops))
	require.True(t, w.active(w.issued(w.again("orchestrator", good))), "the right one still works")
}

func TestARefreshHasNeitherAnActorNorANewTask(t *testing.T) {
	w := newWorld(t, refreshing)
	tok := w.begun("read")
	req := w.again("orchestrator", tok.RefreshValue())
	req.Actor = w.outside(alias("orchestrator"))
	w.unissued(req, tb.CodeInvalidRequest, "neither an actor nor a new task")
	req = w.again("orchestrator", tok.RefreshValue())
	req.Task = &tb.TaskSpec{Purpose: "more"}
	w.unissued(req, tb.CodeInvalidRequest, "neither an actor nor a new task")
	w.issued(w.again("orchestrator", tok.RefreshValue()))
}

func TestAFamilyEndsByItsAgeOrWhenItIsNotUsed(t *testing.T) {
	bounded := func(w *world) { w.cfg.Lifetimes.RefreshToken, w.cfg.Lifetimes.RefreshIdle = 3*time.Hour, time.Hour }
	w := newWorld(t, refreshing, bounded)
	start := w.clock.Now()
	tok := w.begun("read")
	require.Equal(t, start.Add(3*time.Hour), w.family(tok.ID).ExpiresAt)
	for _, at := range []time.Duration{59, 118, 177, 179} {
		w.clock.Set(start.Add(at * time.Minute))
		tok = w.issued(w.again("orchestrator", tok.RefreshValue()))
	}
	require.Equal(t, time.Minute, tok.ExpiresIn, "no access token outlives the family")
	w.clock.Add(time.Minute)
	require.False(t, w.active(tok))
	w.unissued(w.again("orchestrator", tok.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is expired")

	w = newWorld(t, refreshing, bounded)
	tok = w.begun("read")
	w.clock.Add(time.Hour - time.Millisecond)
	tok = w.issued(w.again("orchestrator", tok.RefreshValue()))
	w.clock.Add(time.Hour)
	w.unissued(w.again("orchestrator", tok.RefreshValue()), tb.CodeInvalidGrant, "not used for too long")
	require.Empty(t, w.feed(ops), "what lapsed was not misused")
}

func TestAFamilyDiesByWhateverCutsItsSubjectClientOrPath(t *testing.T) {
	for _, sel := range []string{
		"subject:alice", "session:s-alice", "client:orchestrator", "actor:orchestrator", "connection:prod", "path:/agents",
	} {
		w := newWorld(t, refreshing)
		tok := w.begun("read")
		tok = w.issued(w.again("orchestrator", tok.RefreshValue()))
		w.revoke(sel, lineage.Cut)
		w.clock.Add(time.Minute)
		w.unissued(w.again("orchestrator", tok.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
		require.Equal(t, lineage.Revoked, w.state(tok.ID), sel)
	}
	w := newWorld(t, refreshing)
	tok := w.begun("read")
	require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), tok.Value()))
	require.False(t, w.active(tok))
	require.True(t, w.active(w.issued(w.again("orchestrator", tok.RefreshValue()))), "an access token is not its family")
}

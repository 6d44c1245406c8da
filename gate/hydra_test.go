package gate_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestHydraGetsTheDecisionInItsClaims(t *testing.T) {
	w := newWorld(t)
	r := w.call(w.hook(hydra), w.fixture("hydra_client_credentials"))
	require.Equal(t, 200, r.status, r.raw)
	rec := w.recorded(r.at("session", "access_token", gate.ClaimDecision))
	require.True(t, rec.Body.Unconfirmed, "nobody says whether it was minted")
	require.Equal(t, "bot", rec.Body.Client)
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, rec.Body.Granted.Access)
	require.Equal(t, w.clock.Now().Add(5*time.Minute), rec.ExpiresAt)
	require.Equal(t, map[string]any{}, r.at("session", "id_token"))
	require.Contains(t, w.log.String(), rec.ID().String(), "an operator finds the record by the log")
}

func TestHydraKeepsWhatItsSessionHas(t *testing.T) {
	w := newWorld(t)
	r := w.call(w.hook(gate.Hydra{Host: gate.Host{Lifetime: time.Minute, SubjectPrefix: "hydra:"}}), w.fixture("hydra_authorization_code"))
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, "acme", r.at("session", "access_token", "tenant"))
	require.Equal(t, json.Number("12345678901234567890"), r.at("session", "access_token", "large"), "as it came")
	require.Equal(t, map[string]any{"sid": "s-alice", "color": "green"}, r.at("session", "id_token"))
	rec := w.recorded(r.at("session", "access_token", gate.ClaimDecision))
	require.Equal(t, lineage.Party{ID: "hydra:alice", Issuer: "https://hydra.example", Kind: "human"}, rec.Body.Subject)
	require.Equal(t, "bot", rec.Body.Actors[0].ID, "the client acts for the person")
	require.Equal(t, lineage.Session{Kind: "human", ID: "s-alice", AuthTime: time.Date(2026, 3, 1, 11, 59, 0, 0, time.UTC), ACR: "1", AMR: []string{"pwd"}},
		rec.Body.Session)
	require.Equal(t, rec.Parents[0].String(), r.at("session", "access_token", gate.ClaimFamily))
}

func TestClaimsOfTheBoundaryAreNobodyElses(t *testing.T) {
	w := newWorld(t)
	w.rules.refresh = false
	r := w.call(w.hook(hydra), w.fixture("hydra_authorization_code", "session.extra",
		map[string]any{gate.ClaimFamily: "x", gate.ClaimTask: "y", gate.ClaimDecision: "z", "tenant": "acme"}))
	require.Equal(t, []string{gate.ClaimDecision, "tenant"}, names(r.at("session", "access_token").(map[string]any)))
	require.NotEqual(t, "z", r.at("session", "access_token", gate.ClaimDecision))
}

func TestWhatHydraCannotNarrowIsARecordedDenial(t *testing.T) {
	w := newWorld(t)
	url := w.hook(hydra)
	refused := func(code string, body any) func() {
		return func() {
			r := w.call(url, body)
			require.Equal(t, 403, r.status, r.raw)
			require.Equal(t, code, r.at("error"))
			require.Equal(t, "refused", r.at("error_description"))
		}
	}
	more := w.fixture("hydra_client_credentials", "request.granted_scopes", []string{"read", "admin"})
	w.denied(tb.CodeInvalidScope, "the host cannot narrow scopes; allowed: read", refused("invalid_scope", more))
	w.denied(tb.CodeInvalidScope, "", refused("invalid_scope", w.fixture("hydra_client_credentials", "request.granted_scopes", []string{"admin"})))
	w.denied(tb.CodeInvalidTarget, "the host cannot set the audience",
		refused("invalid_target", w.fixture("hydra_client_credentials", "request.granted_audience", []string{})))
	w.rules.lifetime = time.Minute
	w.denied(tb.CodeInvalidRequest, "the host cannot set the lifetime", refused("invalid_request", w.fixture("hydra_client_credentials")))
	w.rules.lifetime = 5 * time.Minute
	require.Equal(t, 200, w.call(url, w.fixture("hydra_client_credentials")).status, "positive control")
}

func TestHydraTakesADefaultAudience(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Hydra{Host: gate.Host{Lifetime: time.Minute, Resource: []string{mail}}})
	r := w.call(url, w.fixture("hydra_client_credentials", "request.granted_audience", nil))
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, []string{mail}, w.recorded(r.at("session", "access_token", gate.ClaimDecision)).Body.Audience)
}

func TestOtherGrantsOfHydraAreRefusedAndRecorded(t *testing.T) {
	w := newWorld(t)
	url := w.hook(hydra)
	for _, grants := range [][]string{{"implicit"}, {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"password"}} {
		w.denied(tb.CodeUnauthorizedClient, "malformed", func() {
			require.Equal(t, "unauthorized_client", w.call(url, w.fixture("hydra_client_credentials", "request.grant_types", grants)).at("error"))
		})
	}
	for _, grants := range [][]string{nil, {"client_credentials", "refresh_token"}} {
		w.denied(tb.CodeInvalidRequest, "malformed", func() {
			require.Equal(t, 403, w.call(url, w.fixture("hydra_client_credentials", "request.grant_types", grants)).status)
		})
	}
}

// login returns the session that Hydra keeps after a person has logged in.
func (w *world) login(url string) map[string]any {
	r := w.call(url, w.fixture("hydra_authorization_code"))
	require.Equal(w, 200, r.status, r.raw)
	return r.at("session", "access_token").(map[string]any)
}

func TestARefreshAtHydraIsDecidedAnew(t *testing.T) {
	w := newWorld(t)
	url := w.hook(hydra)
	extra := w.login(url)
	again := w.fixture("hydra_refresh_token", "session.extra", extra)
	w.clock.Add(time.Hour)
	r := w.call(url, again)
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, extra[gate.ClaimFamily], r.at("session", "access_token", gate.ClaimFamily))
	require.NotEqual(t, extra[gate.ClaimDecision], r.at("session", "access_token", gate.ClaimDecision))
	require.Equal(t, "acme", r.at("session", "access_token", "tenant"))
	require.Equal(t, tb.Refresh, w.facts[len(w.facts)-1].Grant)
	rec := w.recorded(r.at("session", "access_token", gate.ClaimDecision))
	require.Equal(t, extra[gate.ClaimFamily], rec.Parents[0].String())

	refused := func() {
		r := w.call(url, again)
		require.Equal(t, 403, r.status, r.raw)
		require.Equal(t, "invalid_scope", r.at("error"))
	}
	w.rules.scopes = []string{"write"} // the policy has changed
	w.denied(tb.CodeInvalidScope, "", refused)
	w.rules.scopes, w.rules.refresh = []string{"read"}, false
	w.denied(tb.CodeInvalidScope, "no rule lets it be refreshed", refused)
	w.rules.refresh = true
	require.Equal(t, 200, w.call(url, again).status, "positive control")
}

func TestARevokedPersonIsNotRefreshedAtHydra(t *testing.T) {
	for _, selector := range []string{"subject:alice", "session:s-alice", "client:bot"} {
		w := newWorld(t)
		url := w.hook(hydra)
		again := w.fixture("hydra_refresh_token", "session.extra", w.login(url))
		require.Equal(t, 200, w.call(url, again).status, "positive control")
		w.revoke(selector)
		w.denied(tb.CodeInvalidGrant, "revoked", func() {
			require.Equal(t, "invalid_grant", w.call(url, again).at("error"), selector)
		})
	}
}

func TestARefreshAtHydraNeedsTheFamilyOfItsOwnClient(t *testing.T) {
	w := newWorld(t)
	url := w.hook(hydra)
	extra := w.login(url)
	for name, family := range map[string]any{"none": nil, "empty": "", "no id": "x", "no text": 7, "of a token": extra[gate.ClaimDecision]} {
		w.denied(tb.CodeInvalidGrant, "not a refresh token of this boundary", func() {
			r := w.call(url, w.fixture("hydra_refresh_token", "session.extra", map[string]any{gate.ClaimFamily: family}))
			require.Equal(t, "invalid_grant", r.at("error"), name)
		})
	}
	w.denied(tb.CodeInvalidGrant, "issued to another client", func() {
		w.call(url, w.fixture("hydra_refresh_token", "session.extra", extra, "session.client_id", "other", "request.client_id", "other"))
	})
	require.Equal(t, 200, w.call(url, w.fixture("hydra_refresh_token", "session.extra", extra)).status, "positive control")
}

// start starts a task of a client and returns the id of its token's decision.
func (w *world) start(client string) tb.Decision {
	d, err := w.Decide(w.Context(), tb.Request{
		Grant: tb.ClientCredentials, Client: tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: client}}},
		Resource: []string{crm}, Scopes: []string{"read"}, Task: &tb.TaskSpec{Purpose: "triage"},
		Enforce: tb.CapScopes | tb.CapResources | tb.CapLifetime,
	})
	require.NoError(w, err)
	require.Equal(w, tb.Allow, d.Effect)
	return d
}

func TestAScopeNamesTheTaskAtHydra(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Hydra{Host: gate.Host{Lifetime: time.Minute}})
	task, others := w.start("bot"), w.start("other")
	asks := func(id string) map[string]any {
		return w.fixture("hydra_client_credentials", "request.granted_scopes", []string{"read", "task:" + id})
	}
	r := w.call(url, asks(task.ID.String()))
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, task.TaskID.String(), r.at("session", "access_token", gate.ClaimTask))
	rec := w.recorded(r.at("session", "access_token", gate.ClaimDecision))
	require.Equal(t, task.TaskID, rec.TaskID())
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, rec.Body.Granted.Access)
	require.Empty(t, rec.Body.Actors, "its own token: nobody joins the chain")
	require.Equal(t, "triage", w.facts[len(w.facts)-1].Task.Purpose)

	// The rules name bot as a delegate, but an id is no secret: to derive from another client's token, it must present that.
	w.denied(tb.CodeInvalidRequest, "not a token of this client for itself", func() {
		require.Equal(t, 403, w.call(url, asks(others.ID.String())).status)
	})
	for _, id := range []string{"x", "", task.ID.String() + "A"} { // a permission like any other, which nobody has
		w.denied(tb.CodeInvalidScope, "the host cannot narrow scopes; allowed: read", func() { require.Equal(t, 403, w.call(url, asks(id)).status) })
	}
	both := w.fixture("hydra_client_credentials", "request.granted_scopes", []string{"read", "task:" + task.ID.String(), "task." + others.ID.String()})
	w.denied(tb.CodeInvalidScope, "malformed", func() { require.Equal(t, 403, w.call(url, both).status) })
	task = w.start("bot")
	dotted := w.fixture("hydra_client_credentials", "request.granted_scopes", []string{"read", "task." + task.ID.String()})
	require.Equal(t, task.TaskID.String(), w.call(url, dotted).at("session", "access_token", gate.ClaimTask))
	w.clock.Add(2*time.Minute + 30*time.Second)
	w.denied(tb.CodeInvalidRequest, "the host cannot set the lifetime", func() { // the token that it names ends before
		require.Equal(t, 403, w.call(url, asks(task.ID.String())).status)
	})
}

func TestATaskThatHasEndedGivesNothingAtHydra(t *testing.T) {
	w := newWorld(t)
	url := w.hook(hydra)
	task := w.start("bot")
	body := w.fixture("hydra_client_credentials", "request.granted_scopes", []string{"read", "task:" + task.ID.String()})
	require.Equal(t, 200, w.call(url, body).status, "positive control")
	_, err := w.SetTask(t.Context(), ops, task.TaskID, tb.TaskCompleted)
	require.NoError(t, err)
	w.denied(tb.CodeInvalidRequest, "the token is", func() { require.Equal(t, 403, w.call(url, body).status) })
	person := w.fixture("hydra_authorization_code", "request.granted_scopes", []string{"read", "task:" + task.ID.String()})
	w.denied(tb.CodeInvalidScope, "malformed", func() { require.Equal(t, 403, w.call(url, person).status) })
}

func TestAPersonWithoutANameIsNobody(t *testing.T) {
	w := newWorld(t)
	host := gate.Host{Lifetime: 5 * time.Minute, SubjectPrefix: "idp:"}
	url := w.hook(gate.Hydra{Host: host})
	require.Equal(t, 200, w.call(url, w.fixture("hydra_authorization_code")).status, "positive control")
	w.denied(tb.CodeInvalidRequest, "principal without a usable name", func() {
		require.Equal(t, 403, w.call(url, w.fixture("hydra_authorization_code", "session.id_token.subject", "")).status)
	})
	w.denied(tb.CodeInvalidRequest, "the subject has the name of a client", func() {
		require.Equal(t, 403, w.call(w.hook(hydra), w.fixture("hydra_authorization_code", "session.id_token.subject", "other")).status)
	})
	w.denied(tb.CodeInvalidRequest, "principal without a usable name", func() {
		r := w.call(w.hook(gate.Okta{Host: host}), w.fixture("okta_user", "data.access.claims.sub", nil))
		require.Equal(t, "refused: invalid_request", r.at("error", "errorSummary"))
	})
}

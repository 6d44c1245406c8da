package fosite_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	fjwt "github.com/ory/fosite/token/jwt"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestClientCredentialsAreDecided(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		a := w.granted(w.credentials("tool", "read write"))
		c := w.claims(a)
		require.Equal(t, "read write", c["scope"])
		require.Equal(t, []any{crm}, c["aud"])
		require.Equal(t, "tool", c["sub"])
		require.Equal(t, "tool", c["client_id"])
		require.LessOrEqual(t, a.body["expires_in"], 60.0)
		nodes, err := w.Lineage(w.ctx, ops, w.idOf(a))
		require.NoError(t, err)
		node := nodes[len(nodes)-1]
		require.Equal(t, lineage.Active, node.State)
		require.False(t, node.Record.Body.Unconfirmed)
		require.Equal(t, float64(node.Record.ExpiresAt.Unix()), c["exp"])
		require.Equal(t, nodes[0].Record.ID().String(), c["txn"])

		a = w.granted(w.credentials("tool", "read delete"))
		require.Equal(t, "read", a.text("scope"), "narrowed")
		require.Equal(t, "read", w.claims(a)["scope"])
	})
}

func TestWhatIsDeniedIsRecordedAndGetsNoToken(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.refused(w.credentials("tool", "delete"), http.StatusBadRequest, "invalid_scope")
		require.Contains(t, w.denied("tool"), "nothing is left after narrowing")
		w.refused(w.credentials("tool", "read", "connection", "side"), http.StatusBadRequest, "invalid_target")
		require.Contains(t, w.denied("tool"), "not a connection of this client")
		a := w.credentials("tool", "read", "subject_token", "x")
		w.refused(a, http.StatusBadRequest, "invalid_request")
		require.Equal(t, "subject_token has no place in this grant_type", a.text("error_description"))
		require.Contains(t, w.denied("tool"), "malformed")
		w.refused(w.credentials("tool", "read", "more", strings.Repeat("x", 256<<10)), http.StatusRequestEntityTooLarge, "invalid_request")
		w.policy = func(tb.Facts) tb.Verdict {
			return tb.Verdict{Effect: tb.Deny, Code: tb.CodeInvalidTarget, Path: "/agents/tool"}
		}
		w.refused(w.credentials("tool", "read"), http.StatusBadRequest, "invalid_target")
		require.Contains(t, w.denied("tool"), "the policy denies the target")
		require.Zero(t, w.sessions())
		w.policy = grantAll
		w.granted(w.credentials("tool", "read"))
	})
}

func TestTheClientIsRegisteredTwice(t *testing.T) {
	w := newWorld(t)
	w.refused(w.credentials("unknown", "read"), http.StatusUnauthorized, "invalid_client")
	w.refused(w.credentials("", "read"), http.StatusBadRequest, "invalid_request")
	w.refused(w.post("/token", "", form("grant_type", "client_credentials", "client_id", "public", "resource", crm, "scope", "read")),
		http.StatusBadRequest, "invalid_grant")
	w.refused(w.post("/token", "", form("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "client_id", "public",
		"subject_token", human(t, "alice"), "subject_token_type", tb.TypeIDToken, "resource", crm, "scope", "read")),
		http.StatusBadRequest, "unauthorized_client")
	require.Empty(t, w.denied("public"))
	w.host.Clients["sub"].(*fosite.DefaultClient).GrantTypes = []string{"client_credentials"}
	w.refused(w.exchange("sub", human(t, "alice"), tb.TypeIDToken, "read"), http.StatusBadRequest, "unauthorized_client")
	require.Empty(t, w.denied("sub"))

	w.refused(w.credentials("tool", "read", "resource", "https://other.example.com/"), http.StatusBadRequest, "invalid_target")
	require.Empty(t, w.denied("tool"), "the boundary grants it, and the registration at the server has no such audience")
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		v.Access[0].Scopes = append(v.Access[0].Scopes, "admin")
		v.Implied = []lineage.Access{{Resource: crm, Scopes: []string{"admin"}}}
		return v
	}
	w.refused(w.credentials("tool", "read"), http.StatusBadRequest, "invalid_scope")
	require.Zero(t, w.sessions())
}

func TestAnExchangeNestsActors(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		first := w.granted(w.exchange("orchestrator", human(t, "alice"), tb.TypeIDToken, "read write"))
		c := w.claims(first)
		require.Equal(t, "alice", c["sub"])
		require.Equal(t, map[string]any{"sub": "orchestrator", "iss": issuer}, c["act"])
		require.Equal(t, tb.TypeAccessToken, first.text("issued_token_type"))
		require.Equal(t, "bearer", first.text("token_type"))

		second := w.granted(w.exchange("tool", first.text("access_token"), tb.TypeAccessToken, "read write delete"))
		d := w.claims(second)
		require.Equal(t, "alice", d["sub"])
		require.Equal(t, "read write", d["scope"], "no more than the parent")
		require.Equal(t, []any{crm}, d["aud"])
		require.Equal(t, map[string]any{"sub": "tool", "iss": issuer, "act": map[string]any{"sub": "orchestrator", "iss": issuer}}, d["act"])
		require.Equal(t, c["txn"], d["txn"], "the root grant")
		require.Contains(t, d["lin"], c["jti"])
		require.LessOrEqual(t, d["exp"], c["exp"])

		w.refused(w.exchange("tool", second.text("access_token"), tb.TypeAccessToken, "read", "audience", mail), http.StatusBadRequest, "invalid_target")
		require.Contains(t, w.denied("tool"), "outside")
		w.refused(w.exchange("", first.text("access_token"), tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
		w.refused(w.exchange("tool", "nobody.knows", tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "not acceptable")
		refresh := first.text("refresh_token")
		require.NotEmpty(t, refresh)
		w.refused(w.exchange("orchestrator", refresh, tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("orchestrator"), "not acceptable", "a refresh token is no subject")
	})
}

func TestAnActorTokenIsTheClientsOwn(t *testing.T) {
	w := newWorld(t)
	own, others := w.granted(w.credentials("tool", "read")), w.granted(w.credentials("sub", "read"))
	subject := w.granted(w.exchange("orchestrator", human(t, "alice"), tb.TypeIDToken, "read")).text("access_token")
	with := func(actor answer) answer {
		return w.exchange("tool", subject, tb.TypeAccessToken, "read", "actor_token", actor.text("access_token"), "actor_token_type", tb.TypeAccessToken)
	}
	require.Equal(t, "tool", w.claims(w.granted(with(own)))["act"].(map[string]any)["sub"])
	w.refused(with(others), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "not a token of this client for itself")
}

func TestARevokedParentIsRefusedAlthoughFositeAcceptsIt(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		parent := w.granted(w.exchange("orchestrator", human(t, "alice"), tb.TypeIDToken, "read"))
		raw := parent.text("access_token")
		child := w.granted(w.exchange("tool", raw, tb.TypeAccessToken, "read")).text("access_token")
		w.active(raw)
		w.active(child)
		w.revoke("token:" + w.idOf(parent).String())
		for _, kind := range []string{tb.TypeAccessToken, tb.TypeJWT, tb.TypeIDToken} { // whatever it is said to be
			w.refused(w.exchange("tool", raw, kind, "read"), http.StatusBadRequest, "invalid_request")
			require.Contains(t, w.denied("tool"), "the token is revoked", kind)
		}
		w.refused(w.exchange("sub", child, tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("sub"), "the token is revoked")
		w.dead(raw)
		w.dead(child)
		w.aliveAlone(raw)
		w.aliveAlone(child)
	})
}

func TestATokenThatTheServerHasForgottenIsNoOutsideCredential(t *testing.T) {
	w := newWorld(t)
	raw := w.granted(w.exchange("orchestrator", human(t, "alice"), tb.TypeIDToken, "read")).text("access_token")
	w.granted(w.exchange("tool", raw, tb.TypeJWT, "read"))
	clear(w.host.AccessTokens)
	for _, kind := range []string{tb.TypeAccessToken, tb.TypeJWT, tb.TypeIDToken} {
		w.refused(w.exchange("tool", raw, kind, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "not acceptable", kind)
	}
}

func TestAClientRevokesItsToken(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		a := w.granted(w.exchange("orchestrator", human(t, "alice"), tb.TypeIDToken, "read"))
		raw := a.text("access_token")
		child := w.granted(w.exchange("tool", raw, tb.TypeAccessToken, "read")).text("access_token")
		w.post("/revoke", "tool", form("token", raw))
		w.active(raw) // not its token
		require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", raw)).status)
		w.dead(raw)
		w.dead(child)
		w.aliveAlone(child)
		w.refused(w.exchange("sub", child, tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("sub"), "the token is revoked")
		w.refused(w.refresh("orchestrator", a.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
		require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", "nobody.knows")).status)
	})
}

func TestATaskLivesInTheServersTokens(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		details := `[{"type":"task","purpose":"triage","expires_in":600,"max_derivations":1}]`
		task := w.granted(w.credentials("orchestrator", "read", "authorization_details", details))
		id := task.text("task_id")
		require.NotEmpty(t, id)
		require.Equal(t, map[string]any{"id": id, "purpose": "triage"}, w.claims(task)["task"])
		child := w.granted(w.exchange("tool", task.text("access_token"), tb.TypeAccessToken, "read"))
		require.Equal(t, id, child.text("task_id"))
		before := w.sessions()
		w.refused(w.exchange("tool", task.text("access_token"), tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "no derivation left")
		require.Equal(t, before, w.sessions(), "the budget is spent: nothing was minted")

		refreshed := w.granted(w.refresh("orchestrator", task.text("refresh_token")))
		require.Equal(t, id, refreshed.text("task_id"))
		require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", refreshed.text("access_token"))).status)
		w.dead(child.text("access_token"))
		w.aliveAlone(child.text("access_token"))
		taskID, err := lineage.ParseID(id)
		require.NoError(t, err)
		state, err := w.Task(w.ctx, ops, taskID)
		require.NoError(t, err)
		require.Equal(t, tb.TaskRevoked, state.State)
	})
}

func TestNoReasonReachesTheClient(t *testing.T) {
	w := newWorld(t)
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { v := grant(f); v.Path = "/secret-path"; return v }
	a := w.granted(w.credentials("tool", "read delete"))
	for _, said := range []any{a.body, w.claims(a), w.introspect(a.text("access_token")), w.credentials("tool", "delete").body} {
		text, err := json.Marshal(said)
		require.NoError(t, err)
		require.NotContains(t, string(text), "secret-path")
	}
	require.Contains(t, w.denied("tool"), "delete", "control")
}

func TestOneParentServesManyAtOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		a := w.family("read")
		parent := a.text("access_token")
		answers := make(chan answer)
		for range 8 {
			go func() { answers <- w.exchange("tool", parent, tb.TypeAccessToken, "read") }()
			go func() { answers <- w.credentials("sub", "read") }()
			go func() { answers <- w.post("/introspect", "crm", form("token", parent)) }()
		}
		seen := map[string]bool{}
		for range 24 {
			got := <-answers
			require.Equal(t, http.StatusOK, got.status, "%v", got.body)
			if raw := got.text("access_token"); raw != "" {
				require.False(t, seen[raw])
				seen[raw] = true
			}
		}
		require.Len(t, seen, 16)
		for raw := range seen {
			w.active(raw)
		}
	})
}

func TestDetailsComeWithTheToken(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		entry := map[string]any{"type": "payment", "amount": 10.0}
		grant := w.policy
		w.policy = func(f tb.Facts) tb.Verdict {
			v := grant(f)
			if len(f.Details) > 0 {
				require.NoError(t, json.Unmarshal(f.Details, &v.Details))
			}
			return v
		}
		ask := func(details string) answer {
			return w.credentials("tool", "read", "authorization_details", details)
		}
		a := w.granted(ask(`[{"type":"payment","amount":10}]`))
		require.Equal(t, []any{entry}, a.body["authorization_details"])
		require.Equal(t, []any{entry}, w.claims(a)["authorization_details"])
		for _, amount := range []string{"9007199254740993", "1.10", "1e2"} {
			w.refused(ask(`[{"type":"payment","in":[{"amount":`+amount+`}]}]`), http.StatusBadRequest, "invalid_authorization_details")
		}
		w.granted(ask(`[{"type":"payment","in":[{"amount":9007199254740992},{"amount":-1.1}]}]`))
		w.refused(ask(`[{"type":"unknown"}]`), http.StatusBadRequest, "invalid_authorization_details")
	})
}

func TestATamperedTokenIsNoSubject(t *testing.T) {
	w := newWorld(t)
	parts := strings.Split(w.family("read").text("access_token"), ".")
	other := strings.Split(w.family("write").text("access_token"), ".")
	w.granted(w.exchange("tool", strings.Join(parts, "."), tb.TypeAccessToken, "read"))
	for _, kind := range []string{tb.TypeAccessToken, tb.TypeJWT} { // the storage finds it by its signature
		w.refused(w.exchange("tool", parts[0]+"."+other[1]+"."+parts[2], kind, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "not acceptable")
	}
}

func TestTheClaimsOfADecisionAreNotTheHosts(t *testing.T) {
	given := func() map[string]any {
		return map[string]any{"act": map[string]any{"sub": "root"}, "cnf": "x", "may_act": "y", "task": "z", "lin": "w", "own": "kept"}
	}
	check := func(t *testing.T, w *world) {
		c := w.claims(w.granted(w.credentials("tool", "read")))
		require.Equal(t, "kept", c["own"])
		for _, name := range []string{"act", "cnf", "may_act", "task"} {
			require.NotContains(t, c, name)
		}
		require.IsType(t, []any{}, c["lin"])
	}
	t.Run("jwt", func(t *testing.T) {
		check(t, newWorld(t, func(w *world) {
			w.session = func() fosite.Session { return &oauth2.JWTSession{JWTClaims: &fjwt.JWTClaims{Extra: given()}} }
		}))
	})
	t.Run("hmac", func(t *testing.T) {
		check(t, newWorld(t, opaque, func(w *world) {
			w.session = func() fosite.Session { return &fosite.DefaultSession{Extra: given()} }
		}))
	})
}

func TestStatelessIntrospectionAsksTheBoundaryToo(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.first = []compose.Factory{
			compose.OAuth2ClientCredentialsGrantFactory,
			func(c fosite.Configurator, s, _ any) any {
				signer := &fjwt.DefaultSigner{GetPrivateKey: func(context.Context) (any, error) { return key, nil }}
				return compose.OAuth2StatelessJWTIntrospectionFactory(c, s, signer)
			},
		}
	})
	a := w.granted(w.credentials("tool", "read"))
	clear(w.host.AccessTokens)
	w.active(a.text("access_token"))
	w.revoke("token:" + w.idOf(a).String())
	w.dead(a.text("access_token"))
}

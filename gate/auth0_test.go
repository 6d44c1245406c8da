package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestAnAuth0Action(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Auth0{Host: gate.Host{Lifetime: 5 * time.Minute}})
	r := w.call(url, w.fixture("auth0"))
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, true, r.at("allow"))
	rec := w.recorded(r.at("claims", gate.ClaimDecision))
	require.True(t, rec.Body.Unconfirmed)
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, rec.Body.Granted.Access)

	refused := func(code string, changes ...any) func() {
		return func() {
			r := w.call(url, w.fixture("auth0", changes...))
			require.Equal(t, 200, r.status)
			require.Equal(t, map[string]any{"allow": false, "code": code, "reason": "refused"}, r.body)
		}
	}
	w.denied(tb.CodeInvalidScope, "the host cannot narrow scopes; allowed: read", refused("invalid_scope", "accessToken.scope", []string{"read", "admin"}))
	w.denied(tb.CodeInvalidTarget, "the host cannot set the audience", refused("invalid_request", "resource_server.identifier", nil))
	w.denied(tb.CodeInvalidRequest, "malformed", refused("invalid_request", "request.body.task", "x"))
	w.rules.lifetime = time.Minute
	w.denied(tb.CodeInvalidRequest, "the host cannot set the lifetime", refused("invalid_request"))
	w.rules.lifetime = 5 * time.Minute

	r = w.call(url, w.fixture("auth0", "client.client_id", nil))
	require.Equal(t, 400, r.status)
	require.Equal(t, map[string]any{"allow": false, "code": "server_error", "reason": "not decided"}, r.body)
	require.Equal(t, 400, w.call(url, w.fixture("auth0", "accessToken.scope", "read")).status)
}

func TestATaskOfAuth0(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Auth0{Host: gate.Host{Lifetime: time.Minute}})
	task := w.start("bot")
	r := w.call(url, w.fixture("auth0", "request.body.task", task.ID.String()))
	require.Equal(t, task.TaskID.String(), r.at("claims", gate.ClaimTask))
	_, err := w.SetTask(t.Context(), ops, task.TaskID, tb.TaskCompleted)
	require.NoError(t, err)
	w.denied(tb.CodeInvalidRequest, "the token is", func() {
		require.Equal(t, false, w.call(url, w.fixture("auth0", "request.body.task", task.ID.String())).at("allow"))
	})
}

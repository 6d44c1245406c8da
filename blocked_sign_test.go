package tokenboundary_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

type countingMinter struct {
	tb.Minter
	n    *int
	fail *bool
}

func (c countingMinter) Mint(ctx context.Context, claims tb.Claims) (string, error) {
	*c.n++
	if *c.fail {
		return "", errors.New("kms: throttled")
	}
	return c.Minter.Mint(ctx, claims)
}

// Nothing is signed for a client that is blocked, and a signer that is down does not hide that it is.
func TestNothingIsSignedForABlockedClient(t *testing.T) {
	n, fail := 0, false
	w := newWorld(t, minting, func(w *world) { w.cfg.Minter = countingMinter{w.cfg.Minter, &n, &fail} })
	req := tb.Request{Grant: tb.ClientCredentials, Client: w.as("orchestrator"), Resource: []string{crm}, Scopes: []string{"read"}}
	_, err := w.Issue(w.ctx, req)
	require.NoError(t, err)
	require.Equal(t, 1, n, "control")
	w.revoke("client:orchestrator", "block")
	for range 5 {
		_, err = w.Issue(w.ctx, req)
		w.denies(err, tb.CodeUnauthorizedClient, "revoked: client")
	}
	require.LessOrEqual(t, n-1, 1, "the first refusal alone may cost a signature")
}

// A signer that is down does not hide that the client is blocked: the refusal is recorded, and the evidence spent.
func TestASignerThatIsDownDoesNotHideABlock(t *testing.T) {
	n, fail := 0, false
	w := newWorld(t, minting, func(w *world) { w.cfg.Minter = countingMinter{w.cfg.Minter, &n, &fail} })
	asserted := func(id string) tb.Request {
		c := w.as("orchestrator")
		c.Verified.Once, c.Verified.Issued, c.Verified.Expires = id, w.clock.Now(), w.clock.Now().Add(time.Minute)
		return tb.Request{Grant: tb.ClientCredentials, Client: c, Resource: []string{crm}, Scopes: []string{"read"}}
	}
	_, err := w.Issue(w.ctx, asserted("a"))
	require.NoError(t, err, "control")
	w.revoke("client:orchestrator", "block")
	fail = true
	_, err = w.Issue(w.ctx, asserted("b"))
	w.denies(err, tb.CodeUnauthorizedClient, "revoked: client")
}

// A request through a blocked connection is told so, whatever else there is to refuse.
func TestARequestThroughABlockedConnectionIsToldSoThoughItsClientHasTooManyWaiting(t *testing.T) {
	w := newWorld(t, approving, func(w *world) {
		w.cfg.Deferrals = 1
		c := w.clients["orchestrator"]
		c.Connections = []string{"prod", "dev"}
		w.clients["orchestrator"] = c
	})
	req := tb.Request{
		Grant: tb.ClientCredentials, Client: w.as("orchestrator"), Resource: []string{crm}, Scopes: []string{"write"}, Connection: "prod",
	}
	w.waits(req)
	w.revoke("connection:dev", "block")
	req.Deferrable, req.Connection = true, "dev"
	_, err := w.Issue(w.ctx, req)
	w.denies(err, tb.CodeInvalidTarget, "revoked: connection")
}

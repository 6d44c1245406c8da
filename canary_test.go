package tokenboundary_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestTheCanariesOfAWorldSing: the control of every canary test of a world. Each place is watched, and what leaks on
// purpose is found there.
func TestTheCanariesOfAWorldSing(t *testing.T) {
	const told = "a-secret-that-was-told-to-us"
	w := newWorld(t)
	req := tb.Request{Grant: tb.ClientCredentials, Client: w.as("tool"), Resource: []string{crm}, Scopes: []string{told}}
	w.granted(req)
	require.Subset(t, w.canaries.Where(told), []string{"decision", "lineage"})
	_, err := w.Revoke(w.ctx, w.clients["ops"], lineage.Revocation{
		Selector: lineage.Selector{Kind: lineage.SelectSession, Value: told},
	})
	require.NoError(t, err)
	require.Contains(t, w.canaries.Where(told), "revocations")

	k := &canary.Keeper{}
	k.Plant("what was told", told)
	k.See("all", w.canaries.Text()...)
	require.Len(t, k.Leaks(), 1)
}

// TestAPluginThatRepeatsACredentialDoesNotLeakIt: the error of an identity source is logged, or recorded as the reason of
// a denial, without what the source was given.
func TestAPluginThatRepeatsACredentialDoesNotLeakIt(t *testing.T) {
	const given = "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJlLW9mLWEtdG9rZW4tdGhhdC1uby1vbmUtZWxzZS1oYXM"
	leaky := tb.IdentityFunc(func(_ context.Context, c tb.Credential) (tb.Principal, error) {
		return tb.Principal{}, fmt.Errorf("wrong token %s (%q)", c.Value, c.Value)
	})
	w := newWorld(t, func(w *world) { w.cfg.Identities = []tb.IdentitySource{leaky} })
	cred := tb.Credential{Type: tb.TypeJWT, Value: given}
	d := w.refused(w.exchange("tool", cred, crm, "read"), tb.CodeInvalidRequest, "not acceptable")
	require.NotEmpty(t, d.Reasons)
	_, err := w.Authenticate(w.ctx, tb.Credential{Type: tb.TypeClientAssertion, Value: given})
	require.ErrorIs(t, err, tb.ErrUnauthenticated)
	require.True(t, slices.Contains(w.canaries.Where("client authentication failed"), "log"), "control: the attempt is logged")
}

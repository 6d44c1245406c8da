package endpoint_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// The client of the token endpoint takes a token that holds what a scope implies beside it.
func TestExchangeClientTakesWhatIsImplied(t *testing.T) {
	s := newServer(t)
	s.policy = func(f tokenboundary.Facts) tokenboundary.Verdict {
		const crm = "https://crm.example.com/"
		granted := []lineage.Access{{Resource: crm, Scopes: []string{"cases:read", "cases:write"}}}
		return tokenboundary.Verdict{
			Effect: tokenboundary.Allow, Path: "/a", Version: "v1", Resources: []string{crm}, Access: granted,
			Implied:  []lineage.Access{{Resource: crm, Scopes: []string{"cases:read"}}},
			Lifetime: 5 * time.Minute, Depth: 3, Derivations: 10,
		}
	}
	bot := &exchange.Client{Endpoint: s.url + "/token", Auth: exchange.Basic("support-bot", secret("support-bot"))}
	got, err := bot.Exchange(t.Context(), exchange.Params{
		Subject: tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: s.human("alice")}, Scopes: []string{"cases:write"},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"cases:read", "cases:write"}, got.Scopes)
}

package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

// TestDeliverIsSaidPerScope: by a rule that grants the scope, and by no other; what is implied has it of what implies it.
func TestDeliverIsSaidPerScope(t *testing.T) {
	s := catalogued(t, implying("cases:read", "cases:write > cases:read", "notes:read"), "allow:\n"+
		allow("shown", "cases:write", ", deliver: true")+allow("kept", "notes:read", ", deliver: false")+
		"- {rule: never, when: 'false', scopes: [notes:read], deliver: true}\n")
	f := asking("cases:write", "notes:read")
	f.Grant = tokenboundary.Leased
	v := evaluate(t, s, f)
	got := map[string]bool{}
	for _, r := range v.Reasons {
		require.True(t, r.Granted)
		got[r.Scope] = r.Deliver
	}
	require.Equal(t, map[string]bool{"cases:write": true, "cases:read": true, "notes:read": false}, got)
}

// TestALeaseIsAGrantOfItsOwn: a rule that names another one does not hold for it.
func TestALeaseIsAGrantOfItsOwn(t *testing.T) {
	f := request()
	for condition, want := range map[string]tokenboundary.Effect{
		`grant == "lease"`:                     tokenboundary.Allow,
		`grant in ["token_exchange", "lease"]`: tokenboundary.Allow,
		`grant == "token_exchange"`:            tokenboundary.Deny,
	} {
		f.Grant = tokenboundary.Leased
		require.Equal(t, want, evaluate(t, when(t, condition), f).Effect, condition)
	}
}

const legacyCatalog = `
connections:
  - {connection: sf, clients: [support-bot], legacy: {lifetime: 90s, derivations: 5, recheck: call}}
  - {connection: other, clients: [support-bot]}
`

// TestALegacyConnectionHasTighterWindows: they meet what rules and limits say, and concern nothing else.
func TestALegacyConnectionHasTighterWindows(t *testing.T) {
	leaf := "bind: {client: support-bot, connection: '*', resource: https://crm.example.com/}\nallow:\n" +
		allow("r", "cases:read", ", lifetime: 5m, recheck: 1m") + "limits: {derivations: 7}\n"
	s := load(t, map[string]string{"catalog.yaml": legacyCatalog, "crm.yaml": leaf})
	f := request()
	v := evaluate(t, s, f)
	require.Equal(t, 90*time.Second, v.Lifetime)
	require.Equal(t, uint64(5), v.Derivations)
	require.Equal(t, time.Millisecond, v.Recheck)
	f.Connection = "other"
	v = evaluate(t, s, f)
	require.Equal(t, []any{5 * time.Minute, uint64(7), time.Minute}, []any{v.Lifetime, v.Derivations, v.Recheck}, "control")

	s = load(t, map[string]string{
		"catalog.yaml": "connections: [{connection: sf, clients: [support-bot], legacy: {lifetime: 10m}}]\n", "crm.yaml": leaf,
	})
	f.Connection = "sf"
	v = evaluate(t, s, f)
	require.Equal(t, []any{5 * time.Minute, uint64(7), time.Minute}, []any{v.Lifetime, v.Derivations, v.Recheck}, "it only restricts")
}

// TestExplainSaysThatTheConnectionIsLegacy.
func TestExplainSaysThatTheConnectionIsLegacy(t *testing.T) {
	s := load(t, map[string]string{"catalog.yaml": legacyCatalog, "crm.yaml": leafOf("allow:\n" + allow("r", "cases:read", ""))})
	x, err := s.Explain(t.Context(), request())
	require.NoError(t, err)
	want := map[string]string{"lifetime": "1m30s", "derivations": "5", "recheck": "call"}
	for _, l := range x.Limits {
		if value, is := want[l.Name]; is {
			require.Equal(t, []string{value, "catalog.yaml"}, []string{l.Value, l.From}, l.Name)
			delete(want, l.Name)
		}
	}
	require.Empty(t, want)
}

// TestRecheckPerCall may be said wherever recheck is.
func TestRecheckPerCall(t *testing.T) {
	for _, more := range []string{
		"allow:\n" + allow("r", "cases:read", ", recheck: call"), "allow:\n" + allow("r", "cases:read", "") + "limits: {recheck: call}\n",
	} {
		require.Equal(t, time.Millisecond, evaluate(t, one(t, more), request()).Recheck)
	}
	_, err := Load(tree(map[string]string{"crm.yaml": leafOf("allow:\n" + allow("r", "cases:read", ", recheck: use"))}))
	require.ErrorContains(t, err, "recheck: must be a duration")
}

func TestLegacyIsReadStrictly(t *testing.T) {
	for legacy, why := range map[string]string{
		"{}":                   "legacy: is empty",
		"true":                 "legacy",
		"{lifetime: 0s}":       "legacy: lifetime",
		"{derivations: -1}":    "legacy: derivations: must be between",
		"{recheck: 100ms}":     "legacy: recheck",
		"{depth: 1}":           `unknown key "depth"`,
		"{lifetime: [1m, 2m]}": "lifetime",
	} {
		text := strings.Replace(legacyCatalog, "{lifetime: 90s, derivations: 5, recheck: call}", legacy, 1)
		_, err := Load(tree(map[string]string{"catalog.yaml": text, "crm.yaml": leafOf("allow:\n" + allow("r", "cases:read", ""))}))
		require.ErrorContains(t, err, why, legacy)
	}
}

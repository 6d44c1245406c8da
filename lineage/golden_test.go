package lineage

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// golden returns the parts of a record in which every member is set, and in which texts hold every character that an
// encoder may write in more than one way.
func golden() (Envelope, Body) {
	authority := Authority{
		Access:  []Access{{"https://crm.example.com/", []string{"cases:read", "contacts:read"}}, {"urn:example:mail", []string{"send"}}},
		Details: []json.RawMessage{json.RawMessage("{\"<n>\":[1.0,-0,1E5],\"type\":\"\\u000a&\u2028é\"}")}, NotAfter: noon.Add(90*time.Second + 120*time.Millisecond), Depth: 2,
	}
	env := Envelope{
		Version: FormatVersion, Kind: KindToken, Issuer: issuer, Parents: []ID{mustID(2)}, Ancestors: []ID{mustID(1), mustID(2)}, Grant: mustID(1),
		IssuedAt: noon.Add(time.Millisecond), ExpiresAt: noon.Add(time.Minute), Since: noon.Add(-time.Hour), Policy: "sha256:<&>",
	}
	var controls strings.Builder
	for c := range rune(0x80) {
		controls.WriteRune(c)
	}
	body := Body{
		Salt: []byte("0123456789abcdef"), Client: "support-bot", ClientKind: "agent",
		Subject: Party{ID: "alice", Issuer: "https://idp.example", Kind: "human"}, Actors: []Party{{ID: "crm-tool"}, {ID: "support-bot", Issuer: issuer, Kind: "agent"}},
		Session:   Session{Kind: "human", ID: "s1", AuthTime: noon.Add(-time.Hour), ACR: "urn:mfa", AMR: []string{"pwd", "otp"}},
		GrantType: "token_exchange", Connection: "salesforce-prod", Paths: []string{"/agents/support-bot"},
		Task: &Task{
			ID: mustID(1), Purpose: "triage", Context: json.RawMessage(`{"case":4711}`), Deadline: noon.Add(time.Hour), Budget: 50, Authority: &authority,
		},
		Requested: Requested{
			Resources: []string{"https://crm.example.com/"}, Scopes: []string{"cases:read"}, Lifetime: 5 * time.Minute, Details: json.RawMessage(`[{"type":"pay"}]`),
		},
		Granted: authority, Audience: []string{"https://crm.example.com/"},
		Reasons: []Reason{{
			Resource: "https://crm.example.com/", Scope: "cases:read", Granted: true, Rule: "/agents/support-bot#triage-reads",
			Why: controls.String() + "\u0080\u2028\u2029\ufeff\ufffdé日\U0001F916", Delegates: []string{"crm-tool"},
		}},
		Controls: []string{"owasp-asi:ASI03"}, ActorToken: mustID(3), Key: "k1", Code: "invalid_scope",
		Facts: map[string]uint64{"fact:b": 2, "fact:a": 18446744073709551615, "fact:": 0}, Selectors: []Selector{{SelectActor, "crm-tool"}, {SelectClient, "a:b"}},
		Unconfirmed: true,
	}
	return env, body
}

// goldenGrant returns the parts of a refresh family in which every member is set that golden leaves out and that may
// stand in one.
func goldenGrant() (Envelope, Body) {
	env, body := golden()
	env.Kind = KindGrant
	body.Bound, body.Recheck = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", 90*time.Second
	body.Approved = &Approved{ID: mustID(4), By: "back-office", Person: "bob", At: noon.Add(-time.Second), Groups: []string{"managers", "leads"}}
	body.Reasons[0].Why, body.Reasons[0].Refresh = "", true
	return env, body
}

// goldenApproval returns the parts of an approval in which every member of Deferred is set.
func goldenApproval() (Envelope, Body) {
	env, body := golden()
	env.Kind = KindApproval
	_, waiting := approvalParts()
	body.Deferred, body.Reasons = waiting.Deferred, nil
	body.Task.ID, body.Task.Authority = ID{}, nil
	return env, body
}

// goldenTrial returns the parts of a denial in which every member is set of what a policy set on trial would have decided.
func goldenTrial() (Envelope, Body) {
	env, body := golden()
	env.Kind = KindDenial
	body.Granted, body.Task, body.ClientGroups = Authority{}, nil, []string{"tools", "support"}
	body.Requested.Deferrable = true
	body.Shadow = &Shadow{
		Policy: "sha256:trial", Path: "/agents", Lifetime: time.Minute,
		Lost:   []Reason{{Resource: "urn:example:mail", Scope: "send", Why: "no rule grants it"}},
		Gained: []Reason{{Resource: "urn:example:mail", Scope: "read", Granted: true, Rule: "/agents#reads"}},
	}
	return env, body
}

// goldenLease returns the parts of a lease in which every member is set that only a lease has.
func goldenLease() (Envelope, Body) {
	env, body := golden()
	env.Kind = KindLease
	body.GrantType, body.Lease = "lease", &Lease{By: "legacy-broker", Deliver: true}
	body.Reasons[0].Why, body.Reasons[0].Deliver = "", true
	return env, body
}

// TestFormatIsFixed fails when the bytes of a record change. Records are kept for years and their ids stand in tokens:
// a change needs a new FormatVersion and a reader for the old one.
func TestFormatIsFixed(t *testing.T) {
	want := strings.Split(strings.TrimSuffix(readGolden(t), "\n"), "\n")
	kinds := []struct {
		parts func() (Envelope, Body)
		id    string
	}{
		{golden, "WW58V7QU0S_-Lsw2jCZR6iT1TRvh5NuCGwpyC4c-uJM"},
		{goldenGrant, "CkUbW4rNBOkCQnMNvGhE_SnkPQI1xj-0kpBh7DJABjI"},
		{goldenApproval, "S9dbjv0sn-uJ6ShLUzPaVH65sImx0qm7lpQmb818e6I"},
		{goldenTrial, "zocVzjXH7PelVmbnX_iOaecIrm1n65oGeCG8tIfIYiA"},
		{goldenLease, "-khfk1tXPNQZYuEVF463a4O3mMxHSUuxGF2I7tgVfHs"},
	}
	require.Len(t, want, 2*len(kinds))
	for i, k := range kinds {
		env, body := k.parts()
		require.NoError(t, body.normalise())
		rawBody, err := encode(&body)
		require.NoError(t, err)
		env.Digest = sha256.Sum256(rawBody)
		require.NoError(t, env.normalise())
		raw, err := encode(&env)
		require.NoError(t, err)
		require.Equal(t, want[2*i], string(raw))
		require.Equal(t, want[2*i+1], string(rawBody))

		r, err := Decode(raw, rawBody)
		require.NoError(t, err)
		require.Equal(t, k.id, r.ID().String())
		sum := sha256.Sum256(raw)
		require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), r.ID().String(), "as anyone can compute it")
		require.Equal(t, env, r.Envelope)
		require.Equal(t, body, *r.Body)
	}
}

// TestGoldenSetsEveryMember fails when a member is added that no golden record has.
func TestGoldenSetsEveryMember(t *testing.T) {
	set := map[string]bool{}
	for _, parts := range []func() (Envelope, Body){golden, goldenGrant, goldenApproval, goldenTrial, goldenLease} {
		env, body := parts()
		env.Digest = mustID(1)
		note(set, reflect.ValueOf(env))
		note(set, reflect.ValueOf(body))
	}
	require.Greater(t, len(set), 70)
	for member, is := range set {
		require.True(t, is, member)
	}
}

// note says of each member of v, and of what it holds, whether it is set.
func note(set map[string]bool, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		note(set, v.Elem())
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			note(set, v.Index(i))
		}
	case v.Kind() == reflect.Struct && !v.Type().Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		for i := range v.NumField() {
			name := v.Type().String() + "." + v.Type().Field(i).Name
			set[name] = set[name] || !empty(v.Field(i))
			note(set, v.Field(i))
		}
	}
}

func empty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

func readGolden(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/record_v1.golden")
	require.NoError(t, err)
	return string(raw)
}

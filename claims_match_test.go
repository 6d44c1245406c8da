package tokenboundary

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// sealedToken returns the record of a token that says all that a token can say.
func sealedToken(t *testing.T, change ...func(*lineage.Envelope, *lineage.Body)) lineage.Record {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	root, task := lineage.IDOf([]byte("root")), lineage.IDOf([]byte("task"))
	env := lineage.Envelope{
		Kind: lineage.KindToken, Issuer: "https://boundary.example", Parents: []lineage.ID{task}, Ancestors: []lineage.ID{root, task}, Grant: root,
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), Since: now,
	}
	body := lineage.Body{
		Client: "tool", Subject: lineage.Party{ID: "alice"}, Actors: []lineage.Party{{ID: "tool", Issuer: "i"}, {ID: "bot"}},
		Session: lineage.Session{ID: "sid", AuthTime: now.Add(-time.Hour), ACR: "aal2", AMR: []string{"pwd", "otp"}}, GrantType: "x",
		Task: &lineage.Task{ID: task, Purpose: "triage", Deadline: now.Add(time.Hour)},
		Granted: lineage.Authority{
			Access:  []lineage.Access{{Resource: "urn:a", Scopes: []string{"r", "w"}}},
			Details: []json.RawMessage{json.RawMessage(`{"type":"a"}`)},
		},
		Audience: []string{"urn:a", "urn:b"}, Key: "kid", Bound: "jkt", Recheck: time.Minute,
	}
	for _, c := range change {
		c(&env, &body)
	}
	r, err := lineage.Seal(env, body)
	require.NoError(t, err)
	return r
}

// TestEveryClaimMustBeWhatTheRecordSays changes each claim, and each part of one, in every way that its type allows.
func TestEveryClaimMustBeWhatTheRecordSays(t *testing.T) {
	r := sealedToken(t)
	require.True(t, claimsOf(r).matches(r), "control")
	changed := 0
	for n := 0; ; n++ {
		c := claimsOf(r)
		left := n
		if !changeOne(reflect.ValueOf(&c).Elem(), &left) {
			break
		}
		changed++
		require.False(t, c.matches(r), "%+v", c)
	}
	require.Greater(t, changed, 60)
}

// changeOne makes the n-th change that there is of v, and reports whether there is one.
func changeOne(v reflect.Value, n *int) bool {
	here := func() bool { *n--; return *n < 0 }
	switch v.Kind() {
	case reflect.String:
		for _, s := range []string{"", v.String() + "x", v.String() + " ", " " + v.String()} {
			if s != v.String() && here() {
				v.SetString(s)
				return true
			}
		}
	case reflect.Int64:
		for _, d := range []int64{1, -1} {
			if here() {
				v.SetInt(v.Int() + d)
				return true
			}
		}
	case reflect.Uint8:
		if here() {
			v.SetUint(v.Uint() ^ 1)
			return true
		}
	case reflect.Pointer:
		switch {
		case v.IsNil() && here():
			v.Set(reflect.New(v.Type().Elem()))
			return true
		case v.IsNil():
			return false
		case here():
			v.SetZero()
			return true
		}
		fresh := reflect.New(v.Type().Elem())
		fresh.Elem().Set(v.Elem())
		v.Set(fresh)
		return changeOne(v.Elem(), n)
	case reflect.Slice:
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		switch {
		case here():
			v.Set(reflect.Append(fresh, reflect.Zero(v.Type().Elem())))
			return true
		case v.Len() > 0 && here():
			v.Set(fresh.Slice(0, v.Len()-1))
			return true
		}
		v.Set(fresh)
		for i := range v.Len() {
			if changeOne(v.Index(i), n) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if changeOne(v.Field(i), n) {
				return true
			}
		}
	}
	return false
}

// TestATokenOfLittleMatches: what is left out of a token is left out of its record.
func TestATokenOfLittleMatches(t *testing.T) {
	r := sealedToken(t, func(env *lineage.Envelope, b *lineage.Body) {
		env.Parents, env.Ancestors, env.Grant = nil, nil, lineage.ID{}
		*b = lineage.Body{Client: "tool", Subject: b.Subject, GrantType: "x", Audience: []string{"urn:a"}, Key: "kid"}
	})
	require.True(t, claimsOf(r).matches(r))
	for n := 0; ; n++ {
		c := claimsOf(r)
		left := n
		if !changeOne(reflect.ValueOf(&c).Elem(), &left) {
			break
		}
		require.False(t, c.matches(r), "%+v", c)
	}
}

func TestATokenOfAnotherRecordDoesNotMatch(t *testing.T) {
	c := claimsOf(sealedToken(t))
	for name, change := range map[string]func(*lineage.Envelope, *lineage.Body){
		"kind":   func(e *lineage.Envelope, _ *lineage.Body) { e.Kind = lineage.KindGrant },
		"salted": func(*lineage.Envelope, *lineage.Body) {}, // another id
	} {
		require.False(t, c.matches(sealedToken(t, change)), name)
	}
	r := sealedToken(t)
	require.False(t, claimsOf(r).matches(r.Erase()))
}

// Claims that went through the standard encoder and back are still those of the record: a Minter of one's own may do so.
func TestClaimsSurviveTheStandardEncoder(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, details := range []string{`{"type":"doc"}`, `{"q":"a<b&c>d","type":"doc"}`} {
		r, err := lineage.Seal(lineage.Envelope{Kind: lineage.KindToken, Issuer: "https://b.example", IssuedAt: at, Since: at, ExpiresAt: at.Add(time.Hour)},
			lineage.Body{Client: "c", Key: "k", Subject: lineage.Party{ID: "a<b"}, Audience: []string{"https://x/"},
				Granted: lineage.Authority{Details: []json.RawMessage{json.RawMessage(details)}}})
		require.NoError(t, err)
		data, err := json.Marshal(claimsOf(r))
		require.NoError(t, err)
		var c Claims
		require.NoError(t, json.Unmarshal(data, &c))
		c.Key = "k"
		require.True(t, c.matches(r), "%s", data)
	}
}

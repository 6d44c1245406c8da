package lineage

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// agree holds the reader to decodeByEncoding: it accepts the same bytes and yields the same value. It reports whether
// raw is an envelope or a body.
func agree(t *testing.T, raw []byte) bool {
	t.Helper()
	if !utf8.Valid(raw) {
		return false // neither of the two sees it
	}
	return agreeAs[Envelope](t, raw) || agreeAs[Body](t, raw)
}

func agreeAs[T any, P interface {
	*T
	part
}](t *testing.T, raw []byte) bool {
	t.Helper()
	var quick, want T
	err := decodeByEncoding(raw, P(&want))
	require.Equal(t, err == nil, read(raw, P(&quick)), "%T %q: %v", want, raw, err)
	if err == nil {
		require.Equal(t, want, quick)
	}
	return err == nil
}

func TestReaderTakesWhatIsSealed(t *testing.T) {
	g := newGenerator(t, 9)
	for _, parts := range everyKind {
		for range 20 {
			env, body := parts()
			body.Granted = g.authority()
			body.Subject.ID = pick(g, []string{"alice", "a\"b", "é\u2028", "\u2014", "tab\t", "\x7f", "日本"})
			body.Requested.Details = pick(g, []json.RawMessage{nil, json.RawMessage(`[]`), json.RawMessage(`{"b":"]}\"","a":[1,{}]}`)})
			body.Facts = pick(g, []map[string]uint64{nil, {"": 1}, {"fact:\"": 1, "fact:\n": 2, "fact:": 3}})
			body.Recheck = pick(g, []time.Duration{0, -1, 1 << 62})
			r := mustSeal(t, env, body)
			require.True(t, read(r.Raw(), new(Envelope)), "%s", r.Raw())
			require.True(t, read(r.RawBody(), new(Body)), "%s", r.RawBody())
			require.True(t, agree(t, r.Raw()))
			require.True(t, agree(t, r.RawBody()))
		}
	}
}

// TestReaderTakesNothingElse changes, drops and doubles every byte of records of all kinds.
func TestReaderTakesNothingElse(t *testing.T) {
	accepted, refused := 0, 0
	try := func(raw []byte) {
		if agree(t, raw) {
			accepted++
		} else {
			refused++
		}
	}
	for _, parts := range everyKind {
		r := mustSeal(t, first(parts()), second(parts()))
		for _, raw := range [][]byte{r.Raw(), r.RawBody()} {
			for i := range raw {
				changed := bytes.Clone(raw)
				changed[i] ^= 1
				try(changed)
				if !testing.Short() {
					try(slices.Delete(bytes.Clone(raw), i, i+1))
					try(slices.Insert(bytes.Clone(raw), i, raw[i]))
				}
			}
		}
	}
	require.Greater(t, accepted, 1000, "control: letters of names may change")
	require.Greater(t, refused, 1000)
}

// TestReaderOfOddValues compares the two on values that a record never or seldom holds.
func TestReaderOfOddValues(t *testing.T) {
	_, body := goldenApproval()
	require.NoError(t, body.normalise())
	raw := text(t, body)
	require.True(t, agree(t, []byte(raw)))
	taken := 0
	for _, e := range [][2]string{
		{`"wants":[`, `"wants":null,"x":[`}, {`"scopes":["contacts:read","cases:read"]`, `"scopes":[]`}, {`"scopes":["contacts:read","cases:read"]`, `"scopes":null`},
		{`"scopes":["contacts:read","cases:read"]`, `"scopes":[null]`}, {`"args":{"by":"managers"}`, `"args":{}`}, {`"args":{"by":"managers"}`, `"args":null`},
		{`"args":{"by":"managers"}`, `"args":{"":""}`}, {`"args":{"by":"managers"}`, `"args":{"b\"":"c\n"}`}, {`"args":{"by":"managers"}`, `"args":{"b":"","a":""}`},
		{`"max_derivations":50`, `"max_derivations":0`}, {`"max_derivations":50`, `"max_derivations":-0`}, {`"max_derivations":50`, `"max_derivations":050`},
		{`"max_derivations":50`, `"max_derivations":null`}, {`"max_derivations":50`, `"max_derivations":18446744073709551615`},
		{`"max_derivations":50`, `"max_derivations":18446744073709551616`}, {`"lifetime_ns":300000000000`, `"lifetime_ns":-1`},
		{`"lifetime_ns":300000000000`, `"lifetime_ns":9223372036854775808`}, {`"lifetime_ns":300000000000`, `"lifetime_ns":3e11`},
		{`"salt":"MDEyMzQ1Njc4OWFiY2RlZg=="`, `"salt":null`}, {`"salt":"MDEyMzQ1Njc4OWFiY2RlZg=="`, `"salt":""`},
		{`"salt":"MDEyMzQ1Njc4OWFiY2RlZg=="`, `"salt":"MDEy\nMzQ="`}, {`"unconfirmed":true`, `"unconfirmed":false`}, {`,"unconfirmed":true`, ``},
		{`"deadline":"2026-03-01T13:00:00Z"`, `"deadline":"0001-01-01T00:00:00Z"`}, {`"deadline":"2026-03-01T13:00:00Z"`, `"deadline":"0000-01-01T00:00:00Z"`},
		{`"deadline":"2026-03-01T13:00:00Z"`, `"deadline":"9999-12-31T23:59:59.999Z"`}, {`"deadline":"2026-03-01T13:00:00Z"`, `"deadline":"2026-03-01T13:00:00,5Z"`},
		{`"deadline":"2026-03-01T13:00:00Z"`, `"deadline":"2026-03-01T24:00:00Z"`}, {`"auth_time":"2026-03-01T11:00:00Z"`, `"auth_time":"0001-01-01T00:00:00Z"`},
		{`"context":{"case":4711}`, `"context":"a,b]}"`}, {`"context":{"case":4711}`, `"context":4711`}, {`"context":{"case":4711}`, `"context":`},
		{`"context":{"case":4711}`, `"context":{"case":4711]`}, {`"context":{"case":4711}`, `"context":1 `}, {`"subject":{"sub":"alice"`, `"subject":{"sub":"\u0061lice"`},
		{`"subject":{"sub":"alice","iss":"https://idp.example","kind":"human"}`, `"subject":{"sub":""}`}, {`"depth":2`, `"depth":-1`}, {`"depth":2`, `"depth":0`},
		{`"selectors":["actor:crm-tool","client:a:b"]`, `"selectors":[]`}, {`"selectors":["actor:crm-tool","client:a:b"]`, `"selectors":[null]`},
		{`"selectors":["actor:crm-tool","client:a:b"]`, `"selectors":[""]`}, {`"facts":{`, `"facts":{"a:b":1,`}, {`"actor_token":"`, `"actor_token":"","x":"`},
	} {
		require.Contains(t, raw, e[0])
		if agree(t, []byte(strings.Replace(raw, e[0], e[1], 1))) {
			taken++
		}
	}
	require.Equal(t, 14, taken, "control: some are canonical")
}

package lineage

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSealAndDecodeAgree(t *testing.T) {
	for name, parts := range map[string]func() (Envelope, Body){
		"token": rootParts, "task": taskParts, "grant": grantParts, "approval": approvalParts, "everything": golden,
		"a grant with everything": goldenGrant, "an approval with everything": goldenApproval, "lease": leaseParts, "a lease with everything": goldenLease,
		"denial": func() (Envelope, Body) {
			env, _ := rootParts()
			env.Kind, env.ExpiresAt = KindDenial, time.Time{}
			return env, Body{Client: "support-bot", Code: "invalid_scope"}
		},
	} {
		r := mustSeal(t, first(parts()), second(parts()))
		require.Equal(t, IDOf(r.Raw()), r.ID(), name)
		require.Equal(t, ID(sha256.Sum256(r.RawBody())), r.Digest, name)
		back, err := Decode(r.Raw(), r.RawBody())
		require.NoError(t, err, name)
		require.Equal(t, r, back, name)
		require.True(t, r.Equal(back), name)

		raw, err := json.Marshal(r)
		require.NoError(t, err)
		var read Record
		require.NoError(t, json.Unmarshal(raw, &read))
		require.Equal(t, r, read, name)
	}
}

func first[A, B any](a A, _ B) A  { return a }
func second[A, B any](_ A, b B) B { return b }

func TestSaltHidesTheBody(t *testing.T) {
	env, body := rootParts()
	a, b := mustSeal(t, env, body), mustSeal(t, env, body)
	require.NotEqual(t, a.Digest, b.Digest, "equal bodies cannot be recognised by their digest")
	require.NotEqual(t, a.ID(), b.ID())
	require.Len(t, a.Body.Salt, 16)
}

func TestErasedBody(t *testing.T) {
	env, body := taskParts()
	r := mustSeal(t, env, body)
	gone := r.Erase()
	require.Equal(t, r.ID(), gone.ID())
	require.Nil(t, gone.Body)
	require.Nil(t, gone.RawBody())
	require.NotNil(t, r.Body, "the original is unchanged")
	require.True(t, gone.Derivable().Empty(), "nothing derives from it")
	require.Equal(t, r.ID(), gone.TaskID())
	require.Contains(t, gone.Selectors(), Selector{SelectTask, r.ID().String()})
	require.False(t, r.Equal(gone))

	back, err := Decode(gone.Raw(), nil)
	require.NoError(t, err)
	require.Equal(t, gone, back)
	raw, err := json.Marshal(gone)
	require.NoError(t, err)
	var read Record
	require.NoError(t, json.Unmarshal(raw, &read))
	require.Equal(t, gone, read)

	_, err = Decode(r.Raw(), []byte{})
	require.ErrorContains(t, err, "not the one recorded", "an empty body is not an erased one")
}

// TestEveryEditIsDetected changes every byte of a record: either it is refused, or it has another id.
func TestEveryEditIsDetected(t *testing.T) {
	r := mustSeal(t, first(golden()), second(golden()))
	raw, body := r.Raw(), r.RawBody()
	edit := func(in []byte, i int, to byte) []byte {
		out := append([]byte{}, in...)
		out[i] = to
		return out
	}
	accepted := 0
	for i := range raw {
		for _, mask := range []byte{1, 0x20} {
			got, err := Decode(edit(raw, i, raw[i]^mask), body)
			require.True(t, err != nil || got.ID() != r.ID(), "envelope byte %d", i)
			if err == nil {
				accepted++
			}
		}
	}
	require.Positive(t, accepted, "control: some edits are records, of another id")
	for i := range body {
		_, err := Decode(raw, edit(body, i, body[i]^1))
		require.ErrorIs(t, err, errRecord, "body byte %d", i)
	}
	for i := range raw {
		_, err := Decode(raw[:i], body)
		require.ErrorIs(t, err, errRecord, "cut at %d", i)
	}
}

// edited returns the golden record with its text replaced and its digest made to fit, so that only the form is wrong.
func edited(t testing.TB, inBody bool, from, to string) (raw, body []byte) {
	t.Helper()
	lines := strings.Split(readGolden(t), "\n")
	env, rawBody := lines[0], lines[1]
	if inBody {
		require.Contains(t, rawBody, from)
		rawBody = strings.Replace(rawBody, from, to, 1)
		env = strings.Replace(env, IDOf([]byte(lines[1])).String(), IDOf([]byte(rawBody)).String(), 1)
	} else {
		require.Contains(t, env, from)
		env = strings.Replace(env, from, to, 1)
	}
	return []byte(env), []byte(rawBody)
}

// otherSpellings are edits of the golden record that leave a value as it is, or nearly so, and write it in another way.
var otherSpellings = map[string]struct {
	body     bool
	from, to string
}{
	"white space":                  {false, `"v":1`, `"v": 1`},
	"a trailing line":              {false, `"}`, "\"}\n"},
	"order of members":             {false, `"v":1,"kind":"token"`, `"kind":"token","v":1`},
	"an unknown member":            {false, `"v":1`, `"v":1,"x":0`},
	"a repeated member":            {false, `"v":1`, `"v":1,"v":1`},
	"other case of a member":       {false, `"kind"`, `"Kind"`},
	"an escape":                    {false, `"token"`, `"\u0074oken"`},
	"an HTML escape":               {false, `<&>`, `\u003c&>`},
	"a spelling of a number":       {false, `"v":1`, `"v":1.0`},
	"null for absent":              {false, `"policy":"sha256:<&>"`, `"policy":null`},
	"empty for absent":             {false, `"policy":"sha256:<&>"`, `"policy":""`},
	"a zone":                       {false, `"2026-03-01T12:00:00.001Z"`, `"2026-03-01T13:00:00.001+01:00"`},
	"an offset of zero":            {false, `"2026-03-01T12:00:00.001Z"`, `"2026-03-01T12:00:00.001+00:00"`},
	"precision":                    {false, `12:00:00.001Z`, `12:00:00.0010Z`},
	"below a millisecond":          {false, `12:00:00.001Z`, `12:00:00.001000001Z`},
	"a zone in the body":           {true, `"auth_time":"2026-03-01T11:00:00Z"`, `"auth_time":"2026-03-01T12:00:00+01:00"`},
	"a deadline below a ms":        {true, `"deadline":"2026-03-01T13:00:00Z"`, `"deadline":"2026-03-01T13:00:00.0000001Z"`},
	"a zone in an authority":       {true, `"not_after":"2026-03-01T12:01:30.12Z"`, `"not_after":"2026-03-01T13:01:30.12+01:00"`},
	"order of scopes":              {true, `["cases:read","contacts:read"]`, `["contacts:read","cases:read"]`},
	"a repeated scope":             {true, `["cases:read","contacts:read"]`, `["cases:read","cases:read"]`},
	"no scopes":                    {true, `["cases:read","contacts:read"]`, `[]`},
	"null scopes":                  {true, `["cases:read","contacts:read"]`, `null`},
	"order of facts":               {true, `"fact:a":18446744073709551615,"fact:b":2`, `"fact:b":2,"fact:a":18446744073709551615`},
	"a repeated fact":              {true, `"fact:b":2`, `"fact:b":2,"fact:b":2`},
	"order of selectors":           {true, `["actor:crm-tool","client:a:b"]`, `["client:a:b","actor:crm-tool"]`},
	"a repeated selector":          {true, `["actor:crm-tool","client:a:b"]`, `["actor:crm-tool","actor:crm-tool"]`},
	"order inside a detail":        {true, `"type":"\u000a&\u2028é"`, `"!":1`},
	"an escape inside a detail":    {true, `&\u2028é`, `&\u2028\u00e9`},
	"half a surrogate in a detail": {true, `&\u2028é`, `\ud800`},
	"null for an absent detail":    {true, `"details":[{"type":"pay"}]`, `"details":null`},
	"null for an absent context":   {true, `"context":{"case":4711}`, `"context":null`},
	"an invalid character":         {true, `alice`, "ali\xff"},
	"half a surrogate":             {true, `alice`, `ali\ud800`},
	"a negative depth":             {true, `"depth":2`, `"depth":-2`},
	"an empty list of texts":       {true, `"paths":["/agents/support-bot"]`, `"paths":[]`},
	"an empty list of selectors":   {true, `"selectors":["actor:crm-tool","client:a:b"]`, `"selectors":[]`},
	"a spelling of base64":         {true, `"MDEyMzQ1Njc4OWFiY2RlZg=="`, `"MDEyMzQ1Njc4OWFiY2RlZh=="`},
}

func TestDecodeRefusesOtherSpellings(t *testing.T) {
	_, err := Decode(edited(t, true, `"support-bot"`, `"support-bot"`))
	require.NoError(t, err, "control")
	for name, e := range otherSpellings {
		_, err := Decode(edited(t, e.body, e.from, e.to))
		require.ErrorIs(t, err, errRecord, name)
		switch name {
		case "an invalid character":
			require.ErrorContains(t, err, "size or encoding", name)
		case "half a surrogate in a detail":
			require.ErrorContains(t, err, "no object", name)
		case "a spelling of a number":
			require.ErrorContains(t, err, "syntax", name)
		default:
			require.ErrorContains(t, err, "not canonical", name)
		}
	}
}

func TestDecodeRefusesWhatIsNoRecord(t *testing.T) {
	id1, id2 := mustID(1).String(), mustID(2).String()
	for name, e := range map[string]struct {
		body             bool
		from, to, reason string
	}{
		"a later version":                 {false, `"v":1`, `"v":2`, "unknown format version"},
		"a later version with a member":   {false, `"v":1`, `"v":2,"new":0`, "unknown format version"},
		"version zero":                    {false, `"v":1`, `"v":0`, "unknown format version"},
		"an unknown kind":                 {false, `"kind":"token"`, `"kind":"key"`, "unknown kind"},
		"no kind":                         {false, `"kind":"token"`, `"kind":""`, "unknown kind"},
		"no issuer":                       {false, `"iss":"` + issuer + `"`, `"iss":""`, "no issuer"},
		"no time of issue":                {false, `"2026-03-01T12:00:00.001Z"`, `"0001-01-01T00:00:00Z"`, "digest or times"},
		"evidence of the future":          {false, `"since":"2026-03-01T11:00:00Z"`, `"since":"2026-03-01T12:30:00Z"`, "digest or times"},
		"an expiry before the issue":      {false, `"exp":"2026-03-01T12:01:00Z"`, `"exp":"2026-03-01T12:00:00.001Z"`, "expires before"},
		"no expiry":                       {false, `"exp":"2026-03-01T12:01:00Z",`, ``, "expires before"},
		"a grant that is not the root":    {false, `"grant":"` + id1, `"grant":"` + id2, "not the root grant"},
		"no grant":                        {false, `"grant":"` + id1 + `",`, ``, "ancestors"},
		"a parent that is no ancestor":    {false, `"parents":["` + id2, `"parents":["` + mustID(9).String(), "a parent is not an ancestor"},
		"ancestors without a parent":      {false, `"parents":["` + id2 + `"],`, ``, "ancestors or parents"},
		"a repeated ancestor":             {false, `["` + id1 + `","` + id2 + `"]`, `["` + id1 + `","` + id2 + `","` + id2 + `"]`, "ancestors or parents"},
		"an ancestor that names nothing":  {false, `["` + id1 + `","` + id2 + `"]`, `["` + id1 + `","` + id2 + `",""]`, "ancestors or parents"},
		"no salt":                         {true, `"MDEyMzQ1Njc4OWFiY2RlZg=="`, `""`, "salt"},
		"a short salt":                    {true, `"MDEyMzQ1Njc4OWFiY2RlZg=="`, `"MDEyMw=="`, "salt"},
		"no client":                       {true, `"client":"support-bot"`, `"client":""`, "no client or subject"},
		"no subject":                      {true, `"sub":"alice"`, `"sub":""`, "no client or subject"},
		"a task it does not descend from": {true, `"task":{"id":"` + id1, `"task":{"id":"` + mustID(9).String(), "does not descend from"},
		"a task without id":               {true, `"task":{"id":"` + id1 + `",`, `"task":{`, "does not descend from"},
		"a token that waits":              {true, `"code":"invalid_scope"`, `"deferred":{"digest":"d","wants":[]},"code":"invalid_scope"`, "what it waits for"},
		"an unknown selector":             {true, `"client:a:b"`, `"clients:a"`, "syntax"},
	} {
		raw, body := edited(t, e.body, e.from, e.to)
		_, err := Decode(raw, body)
		require.ErrorIs(t, err, errRecord, name)
		require.ErrorContains(t, err, e.reason, name)
	}
}

func TestErrorsDoNotEchoTheInput(t *testing.T) {
	const canary = "eyJhbGciOiJub25lIn0"
	_, err := Decode([]byte(`{"v":1,"kind":"`+canary+`"}`), nil)
	require.ErrorIs(t, err, errRecord)
	require.NotContains(t, err.Error(), canary)
	_, err = Decode(edited(t, true, `"client:a:b"`, `"`+canary+`:a"`))
	require.ErrorIs(t, err, errRecord)
	require.NotContains(t, err.Error(), canary)
}

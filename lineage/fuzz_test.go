package lineage

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

var everyKind = []func() (Envelope, Body){
	rootParts, taskParts, grantParts, approvalParts, busy, golden, goldenGrant, goldenApproval, leaseParts, goldenLease,
}

func FuzzDecode(f *testing.F) {
	for _, parts := range everyKind {
		r := mustSeal(f, first(parts()), second(parts()))
		f.Add(r.Raw(), r.RawBody())
		f.Add(r.Raw(), []byte(nil))
	}
	f.Add([]byte(`{"v":2}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, raw, body []byte) {
		if len(body) == 0 {
			body = nil
		}
		r, err := Decode(raw, body)
		checkDecoded(t, r, err, raw, body)
	})
}

// FuzzPart compares the reader with what decode means, of an envelope and of a body, and decodes the body as that of records
// that commit to it.
func FuzzPart(f *testing.F) {
	for _, parts := range everyKind {
		r := mustSeal(f, first(parts()), second(parts()))
		f.Add(r.Raw())
		f.Add(r.RawBody())
	}
	for _, e := range otherSpellings {
		f.Add(first(edited(f, false, "", "")))
		raw, body := edited(f, e.body, e.from, e.to)
		f.Add(raw)
		f.Add(body)
	}
	f.Add([]byte(`{"salt":null}`))
	f.Fuzz(func(t *testing.T, part []byte) {
		agree(t, part)
		for _, kind := range []Kind{KindToken, KindApproval, KindLease} {
			env, _ := golden()
			env.Kind, env.Digest = kind, sha256.Sum256(part)
			raw, err := encode(&env)
			require.NoError(t, err)
			r, err := Decode(raw, part)
			checkDecoded(t, r, err, raw, part)
		}
	})
}

func checkDecoded(t *testing.T, r Record, err error, raw, body []byte) {
	t.Helper()
	if err != nil {
		require.Zero(t, r, "no record beside an error")
		return
	}
	require.Equal(t, IDOf(raw), r.ID())
	again, err := encode(&r.Envelope)
	require.NoError(t, err)
	require.Equal(t, string(raw), string(again), "one spelling of one envelope")
	if r.Body != nil {
		again, err := encode(r.Body)
		require.NoError(t, err)
		require.Equal(t, string(body), string(again), "one spelling of one body")
		require.Equal(t, text(t, r.Body.Granted), text(t, r.Body.Granted.Normal()))
	}
	require.True(t, r.Derivable().Covers(Authority{}))
	require.NotEmpty(t, r.Selectors())
	require.NotEmpty(t, r.Root())
}

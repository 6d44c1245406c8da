package lineage

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzDecode(f *testing.F) {
	r := mustSeal(f, first(golden()), second(golden()))
	f.Add(r.Raw(), r.RawBody())
	f.Add(r.Raw(), []byte(nil))
	task := mustSeal(f, first(taskParts()), second(taskParts()))
	f.Add(task.Raw(), task.RawBody())
	f.Add([]byte(`{"v":2}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, raw, body []byte) {
		if len(body) == 0 {
			body = nil
		}
		r, err := Decode(raw, body)
		checkDecoded(t, r, err, raw, body)
	})
}

func FuzzDecodeBody(f *testing.F) {
	for _, parts := range []func() (Envelope, Body){golden, taskParts, rootParts} {
		f.Add(mustSeal(f, first(parts()), second(parts())).RawBody())
	}
	f.Add([]byte(`{"salt":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		env, _ := golden()
		env.Digest = sha256.Sum256(body)
		raw, err := encode(env)
		require.NoError(t, err)
		r, err := Decode(raw, body)
		checkDecoded(t, r, err, raw, body)
	})
}

func checkDecoded(t *testing.T, r Record, err error, raw, body []byte) {
	t.Helper()
	if err != nil {
		require.Zero(t, r, "no record beside an error")
		return
	}
	require.Equal(t, IDOf(raw), r.ID())
	again, err := encode(r.Envelope)
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

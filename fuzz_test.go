package tokenboundary

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

var fuzzNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// oneSpelling reports whether text is how so many bytes are written behind a prefix.
func oneSpelling(text, prefix string, size int) bool {
	encoded, ours := strings.CutPrefix(text, prefix)
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	return ours && err == nil && len(raw) == size && base64.RawURLEncoding.EncodeToString(raw) == encoded
}

// FuzzTokenTexts holds that a refresh token is only what was issued with the secret, in one spelling, and that the store is
// asked for a deferral code only where it has its one spelling.
func FuzzTokenTexts(f *testing.F) {
	secret := []byte("the secret that all nodes share.")
	issued := refreshToken{family: lineage.ID{1}, generation: 3, secret: [32]byte{2}}.encode(secret)
	f.Add(issued, secret)
	f.Add(issued+"=", []byte{})
	f.Add(issued[:len(issued)-1]+"\n", secret[1:])
	f.Add(deferralPrefix+base64.RawURLEncoding.EncodeToString(make([]byte, deferralSize)), make([]byte, 72))
	f.Add(deferralPrefix+strings.Repeat("_", 85)+"-", make([]byte, 73))
	f.Add(refreshPrefix+strings.Repeat("A", base64.RawURLEncoding.EncodedLen(refreshSize)), make([]byte, 88))
	f.Add(refreshPrefix+strings.Repeat("\n", base64.RawURLEncoding.EncodedLen(refreshSize)), []byte("line breaks are skipped by the decoder"))
	f.Add(deferralPrefix+strings.Repeat("\n", base64.RawURLEncoding.EncodedLen(deferralSize)), []byte{})
	g := &Governor{cfg: Config{Issuer: "https://b.example", Store: memory.New()}}
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		token, ok := parseRefreshToken(text, secret)
		require.Equal(t, oneSpelling(text, refreshPrefix, refreshSize) && token.encode(secret) == text, ok)
		_, ok = parseRefreshToken(text, append([]byte("another "), secret...))
		require.False(t, ok, "made with another secret")

		made := refreshPrefix + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(body), refreshMAC(secret, body)...))
		token, ok = parseRefreshToken(made, secret)
		require.Equal(t, len(body) == refreshSize-macSize, ok)
		if ok {
			require.Equal(t, made, token.encode(secret))
		}

		_, err := g.deferredOf(t.Context(), text)
		require.Equal(t, oneSpelling(text, deferralPrefix, deferralSize), errors.Is(err, ErrNotFound))
		require.Equal(t, !errors.Is(err, ErrNotFound), errors.Is(err, ErrNotMine))
	})
}

// FuzzPending holds that the MAC of a decision covers all that is written when it is recorded.
func FuzzPending(f *testing.F) {
	env := lineage.Envelope{Kind: lineage.KindToken, Issuer: "https://b.example", IssuedAt: fuzzNow, ExpiresAt: fuzzNow.Add(time.Minute), Since: fuzzNow, Policy: "v1"}
	body := lineage.Body{Client: "a", Subject: lineage.Party{ID: "alice"}, Granted: lineage.Authority{NotAfter: fuzzNow.Add(time.Minute)}}
	r, err := lineage.Seal(env, body)
	require.NoError(f, err)
	secret := make([]byte, 32)
	made := Pending{Records: []lineage.Record{r}, Spends: []Spend{
		{Key: "a", Version: 1, State: "spent", Value: []byte("v"), Expires: fuzzNow}, {Key: "b", State: "x", Expires: fuzzNow.Add(1)},
	}}
	made.MAC = made.mac(secret)
	good, err := json.Marshal(made)
	require.NoError(f, err)
	f.Add(good)
	for _, edit := range [][2]string{
		{`"version":1`, `"version":2`}, {`"key":"a"`, `"key":"a\u0000"`}, {`"value":"dg=="`, `"value":null`}, {`00Z"`, `00+00:00"`}, {`"records"`, `"RECORDS"`},
	} {
		f.Add(bytes.Replace(good, []byte(edit[0]), []byte(edit[1]), 1))
	}
	f.Add([]byte(`{"records":[{}],"mac":""}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p Pending
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		written, err := json.Marshal(p)
		require.NoError(t, err)
		var again Pending
		require.NoError(t, json.Unmarshal(written, &again))
		require.Equal(t, p.mac(secret), again.mac(secret), "it survives being kept")
		if !bytes.Equal(p.mac(secret), made.MAC) {
			return
		}
		require.Len(t, p.Records, 1)
		require.Equal(t, r.ID(), p.Records[0].ID())
		require.Equal(t, r.RawBody(), p.Records[0].RawBody())
		require.Len(t, p.Spends, 2)
		for i, s := range p.Spends {
			want := made.Spends[i]
			require.True(t, want.Expires.Equal(s.Expires))
			s.Expires = want.Expires
			require.Equal(t, string(want.Value), string(s.Value))
			s.Value = want.Value
			require.Equal(t, want, s)
		}
	})
}

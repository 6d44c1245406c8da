package mint

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// FuzzVerify: nothing but what was minted is accepted, and both verifiers agree. Neither panics.
func FuzzVerify(f *testing.F) {
	clk := clock.NewMock()
	clk.Set(start)
	m, err := Open(f.Context(), Config{Issuer: issuer, Store: memory.New(), Dir: f.TempDir(), Alg: EdDSA, Clock: clk})
	if err != nil {
		f.Fatal(err)
	}
	kid, err := m.Key(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	good, err := m.Mint(f.Context(), claims(kid))
	if err != nil {
		f.Fatal(err)
	}
	jwks, err := m.JWKS(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	v, err := NewVerifier(VerifierConfig{Issuer: issuer, Audience: resource, JWKS: jwks, Clock: clk})
	if err != nil {
		f.Fatal(err)
	}
	seg := strings.Split(good, ".")
	for _, s := range []string{
		good, "", "..", "a.b.c", good + ".", good[:len(good)-1], seg[0] + "." + seg[1] + ".", seg[1] + "." + seg[0] + "." + seg[2],
		"eyJhbGciOiJub25lIn0.e30.AA", "eyJhbGciOiJIUzI1NiJ9.e30.AA",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := m.Verify(t.Context(), raw)
		_, offline := v.Verify(t.Context(), raw)
		if (err == nil) != (raw == good) || (offline == nil) != (raw == good) {
			t.Fatalf("accepted what was not minted, or refused what was: %v, %v", err, offline)
		}
		if err != nil && c.Subject != "" {
			t.Fatal("claims beside an error")
		}
	})
}

// FuzzClaims: a payload that is read is the only spelling of what was read, and means what any decoder reads in it.
func FuzzClaims(f *testing.F) {
	good, err := encodeClaims(claims("k"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"iss":"x","sub":null,"aud":[],"exp":1e3}`))
	f.Add([]byte(`{"act":{"act":{"act":{}}}}`))
	for _, depth := range []int{1, canon.MaxChain, canon.MaxChain + 1} {
		chain := claims("k")
		chain.Act = nil
		for range depth {
			chain.Act = &tokenboundary.Act{Subject: "a", Issuer: issuer, Act: chain.Act}
		}
		raw, err := chain.AppendJSON(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(bytes.Replace(raw, []byte(`"act":{"sub":"a"`), []byte(`"act":{"sub":""`), 1))
		f.Add(bytes.Replace(raw, []byte(`"act":{"sub":"a"`), []byte(`"act":{"Sub":"a"`), 1))
	}
	bound, err := encodeClaims(boundClaims("k"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bound)
	f.Fuzz(func(t *testing.T, payload []byte) {
		var plain tokenboundary.Claims
		quick, ok := readClaims(payload)
		unread := json.Unmarshal(payload, &plain)
		for i := range plain.Details {
			plain.Details[i], _ = canon.JSON(plain.Details[i])
		}
		if ok && (unread != nil || !reflect.DeepEqual(quick, plain)) {
			t.Fatalf("read in one pass as %+v, and otherwise as %+v", quick, plain)
		}
		c, err := decodeClaims(payload)
		if err != nil {
			return
		}
		if !ok {
			t.Fatal("what is minted is not read in one pass")
		}
		again, err := encodeClaims(c)
		if err != nil || string(again) != string(payload) {
			t.Fatalf("read and not written again: %v", err)
		}
		var zero tokenboundary.Claims
		if c.Subject == zero.Subject || len(c.Audience) == 0 || c.ExpiresAt <= 0 || c.ID == "" || c.Grant == "" {
			t.Fatal("a required claim is missing")
		}
		depth := 0
		for act := c.Act; act != nil; act = act.Act {
			if depth++; act.Subject == "" || depth > canon.MaxChain {
				t.Fatal("a chain of actors that no hop could have made")
			}
		}
	})
}

// FuzzRing: what is read from the store is never trusted for more than its form, and nothing panics.
func FuzzRing(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"kid":"x","alg":"ES256","jwk":{},"usable_from":"2026-03-01T12:00:00Z"}]`))
	f.Add([]byte(`[{"kid":"` + id("a") + `","alg":"ES256","usable_from":"2026-03-01T12:00:00Z"}]`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decodeRing(value)
		if err != nil {
			return
		}
		keys, err := r.parse()
		if err != nil {
			return
		}
		for kid := range keys {
			if !isThumbprint(kid) || r.find(kid).gone() {
				t.Fatal("a key that is not listed")
			}
		}
	})
}

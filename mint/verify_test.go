package mint

import (
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// mac signs with a public key as if it were a shared secret.
func mac(t *testing.T, header, payload string, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	input := base64url.EncodeToString([]byte(header)) + "." + base64url.EncodeToString([]byte(payload))
	h := hmac.New(sha256.New, der)
	h.Write([]byte(input))
	return input + "." + base64url.EncodeToString(h.Sum(nil))
}

func TestHostileHeaders(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	good := w.token(m)
	header, payload := parts(t, good)
	kid := w.key(m)
	swap := func(old, new string) string {
		require.Contains(t, header, old)
		return forge(t, m, strings.Replace(header, old, new, 1), payload)
	}
	segments := strings.Split(good, ".")
	thief, err := newPrivateKey(ES256, ecKey(t, elliptic.P256()))
	require.NoError(t, err)
	stolen, err := thief.compact(segments[0], []byte(payload))
	require.NoError(t, err)
	unsigned := base64url.EncodeToString([]byte(strings.Replace(header, "ES256", "none", 1)))
	notMine, invalid, signature := tokenboundary.ErrNotMine, ErrToken, ErrSignature
	for name, c := range map[string]struct {
		raw  string
		is   error // nil: accepted
		want string
	}{
		"as minted":           {good, nil, ""},
		"forged as minted":    {forge(t, m, header, payload), nil, ""},
		"empty":               {"", notMine, "segments"},
		"opaque":              {"mF_9.B5f-4.1JqM", notMine, "header"},
		"no signature":        {segments[0] + "." + segments[1] + ".", signature, "signature"},
		"alg none":            {unsigned + "." + segments[1] + ".", notMine, "segments"},
		"alg none, signed":    {unsigned + "." + segments[1] + "." + segments[2], notMine, "algorithm is not allowed"},
		"HS256 by public key": {mac(t, strings.Replace(header, "ES256", "HS256", 1), payload, m.snap.Load().keys[kid].Public), notMine, "algorithm is not allowed"},
		"ES256 by MAC":        {mac(t, header, payload, m.snap.Load().keys[kid].Public), signature, "signature"},
		"other alg":           {swap("ES256", "RS256"), invalid, "alg is not the key's"},
		"ES384":               {swap("ES256", "ES384"), invalid, "alg is not the key's"},
		"four segments":       {good + ".AA", invalid, "compact form"},
		"header alone":        {segments[0], invalid, "compact form"},
		"header and payload":  {segments[0] + "." + segments[1], invalid, "compact form"},
		"typ JWT":             {swap("at+jwt", "JWT"), invalid, "typ is not at+jwt"},
		"typ of a proof":      {swap("at+jwt", "dpop+jwt"), invalid, "typ is not at+jwt"},
		"no typ":              {swap(`,"typ":"at+jwt"`, ""), invalid, "typ is not at+jwt"},
		"typ in capitals":     {swap("at+jwt", "at+JWT"), invalid, "spelt otherwise"},
		"full media type":     {swap("at+jwt", "application/at+jwt"), invalid, "spelt otherwise"},
		"space in header":     {swap(`,"typ"`, `, "typ"`), invalid, "spelt otherwise"},
		"no kid":              {swap(`"kid":"`+kid+`",`, ""), notMine, "no key id"},
		"kid of a path":       {swap(kid, "../"+kid), notMine, "no key id"},
		"unknown kid":         {swap(kid, thief.ID), notMine, "unknown key"},
		"own key in header":   {swap(`"typ"`, `"jwk":{},"typ"`), notMine, "not a string"},
		"key by URL":          {swap(`"typ"`, `"jku":"https://evil.example","typ"`), notMine, "not allowed"},
		"critical extension":  {swap(`"typ"`, `"crit":["exp"],"typ"`), notMine, "not a string"},
		"two kids":            {swap(`"typ"`, `"kid":"`+kid+`","typ"`), notMine, "duplicate"},
		"another's signature": {stolen, signature, "signature"},
		"too long":            {forge(t, m, header, strings.Repeat(" ", canon.MaxMinted)), notMine, "longer than"},
		"inner line break":    {segments[0] + "." + segments[1][:8] + "\r\n" + segments[1][8:] + "." + segments[2], invalid, "compact form"},
		"line break":          {good + "\n", invalid, "compact form"},
		"padded":              {good + "=", invalid, "compact form"},
		"JSON serialisation":  {`{"payload":"` + segments[1] + `"}`, notMine, "compact form"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := m.Verify(t.Context(), c.raw)
			if c.is == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.is == notMine, !errorIs(err, ErrToken), "one family")
			require.Zero(t, got)
		})
	}
}

func TestHostileClaims(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	header, payload := parts(t, w.token(m))
	type change struct{ old, new, want string }
	edits := map[string]change{
		"extra member":     {`"iss":`, `"admin":true,"iss":`, "one form"},
		"unknown member":   {`"sid":`, `"nonce":"x","sid":`, "one form"},
		"extra in act":     {`"act":{`, `"act":{"role":"x",`, "one form"},
		"duplicate member": {`"sub":"alice"`, `"sub":"mallory","sub":"alice"`, "one form"},
		"duplicate in act": {`"act":{`, `"act":{"sub":"mallory",`, "one form"},
		"other case":       {`"sub":"alice"`, `"Sub":"alice"`, "one form"},
		"both cases":       {`"sub":"alice"`, `"SUB":"mallory","sub":"alice"`, "one form"},
		"white space":      {`"sub":"alice"`, `"sub": "alice"`, "one form"},
		"escaped":          {`"sub":"alice"`, `"sub":"\u0061lice"`, "one form"},
		"other order":      {`{"iss":"` + issuer + `","sub":"alice"`, `{"sub":"alice","iss":"` + issuer + `"`, "one form"},
		"sub empty":        {`"sub":"alice"`, `"sub":""`, "sub"},
		"sub null":         {`"sub":"alice"`, `"sub":null`, "sub"},
		"sub number":       {`"sub":"alice"`, `"sub":7`, "wrong type"},
		"sub control":      {`"sub":"alice"`, `"sub":"a\u0000b"`, "sub"},
		"aud empty":        {`"aud":"` + resource + `"`, `"aud":""`, "aud"},
		"aud no entries":   {`"aud":"` + resource + `"`, `"aud":[]`, "aud"},
		"aud null":         {`"aud":"` + resource + `"`, `"aud":null`, "aud"},
		"aud array of one": {`"aud":"` + resource + `"`, `"aud":["` + resource + `"]`, "one form"},
		"aud number":       {`"aud":"` + resource + `"`, `"aud":1`, "wrong type"},
		"exp string":       {`"exp":1772366700`, `"exp":"1772366700"`, "wrong type"},
		"exp fraction":     {`"exp":1772366700`, `"exp":1772366700.0`, "wrong type"},
		"exp exponent":     {`"exp":1772366700`, `"exp":17723667e2`, "wrong type"},
		"exp negative":     {`"exp":`, `"exp":-`, "exp"},
		"iat zero":         {`"iat":1772366400`, `"iat":0`, "iat"},
		"jti not an id":    {`"jti":"` + id("token"), `"jti":"x`, "jti"},
		"txn not an id":    {`"txn":"` + id("grant"), `"txn":"`, "txn"},
		"lin not ids":      {`"lin":["`, `"lin":["x","`, "lin"},
		"lin too long":     {`"lin":[`, `"lin":[` + strings.Repeat(`"`+id("grant")+`",`, canon.MaxChain), "lin"},
		"lin empty":        {`"lin":["` + id("grant") + `","` + id("task") + `"]`, `"lin":[]`, "one form"},
		"act without sub":  {`"act":{"sub":"desk"}`, `"act":{}`, "act"},
		"act too deep":     {`"act":{"sub":"desk"}`, chainOf(canon.MaxChain), "act"},
		"act array":        {`"act":{"sub":"desk"}`, `"act":[]`, "wrong type"},
		"task without id":  {`"task":{"id":"` + id("task") + `"`, `"task":{"id":""`, "task"},
		"task no purpose":  {`"purpose":"triage"`, `"purpose":""`, "task"},
		"details a string": {`"authorization_details":[`, `"authorization_details":["all",`, "authorization_details"},
		"auth_time before": {`"auth_time":`, `"auth_time":-`, "auth_time"},
		"scope an array":   {`"scope":"cases:read contacts:read"`, `"scope":["cases:read"]`, "wrong type"},
		"scope empty":      {`"scope":"cases:read contacts:read"`, `"scope":""`, "one form"},
		"amr null":         {`"amr":["pwd","otp"]`, `"amr":null`, "one form"},
	}
	for name, e := range edits {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, payload, e.old, "the edit applies")
			got, err := m.Verify(t.Context(), forge(t, m, header, strings.Replace(payload, e.old, e.new, 1)))
			require.ErrorIs(t, err, ErrToken)
			require.ErrorContains(t, err, e.want)
			require.Zero(t, got)
			require.NotContains(t, err.Error(), "mallory")
		})
	}
	t.Run("missing", func(t *testing.T) {
		for _, name := range []string{"sub", "aud", "exp", "iat", "jti", "client_id", "txn"} {
			_, err := m.Verify(t.Context(), forge(t, m, header, without(t, payload, name)))
			require.ErrorIs(t, err, ErrToken)
			require.ErrorContains(t, err, "missing or impossible: "+name)
		}
		_, err := m.Verify(t.Context(), forge(t, m, header, `{}`))
		require.ErrorIs(t, err, ErrToken)
		_, err = m.Verify(t.Context(), forge(t, m, header, payload))
		require.NoError(t, err, "positive control")
	})
	t.Run("optional", func(t *testing.T) {
		c := tokenboundary.Claims{
			Issuer: issuer, Subject: "alice", Audience: tokenboundary.Audience{resource, "https://two.example/"},
			ExpiresAt: 2, IssuedAt: 1, ID: id("token"), ClientID: "bot", Grant: id("token"), Key: w.key(m),
		}
		raw, err := m.Mint(t.Context(), c)
		require.NoError(t, err)
		got, err := m.Verify(t.Context(), raw)
		require.NoError(t, err, "neither time nor optional claims matter")
		require.Equal(t, c, got)
	})
	t.Run("longest chain", func(t *testing.T) {
		longest := strings.Replace(payload, `"act":{"sub":"desk"}`, chainOf(canon.MaxChain-1), 1)
		_, err := m.Verify(t.Context(), forge(t, m, header, longest))
		require.NoError(t, err)
	})
	t.Run("another issuer", func(t *testing.T) {
		for _, other := range []string{issuer + "/", "HTTPS://boundary.example", "https://evil.example"} {
			hostile := strings.Replace(payload, `"iss":"`+issuer+`"`, `"iss":"`+other+`"`, 1)
			_, err := m.Verify(t.Context(), forge(t, m, header, hostile))
			require.ErrorIs(t, err, tokenboundary.ErrNotMine)
			require.ErrorContains(t, err, "another issuer")
		}
	})
}

// chainOf returns an act member with n actors.
func chainOf(n int) string {
	return strings.Repeat(`"act":{"sub":"x",`, n-1) + `"act":{"sub":"x"` + strings.Repeat("}", n)
}

// without returns payload without one member, the others in their order.
func without(t *testing.T, payload, name string) string {
	t.Helper()
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(payload), &all))
	value, found := all[name]
	require.True(t, found)
	member := `"` + name + `":` + string(value)
	out := strings.Replace(payload, ","+member, "", 1)
	require.NotEqual(t, payload, out)
	return out
}

// Every change of a byte is refused; what is left to change without notice is nothing.
func TestEveryMutationIsRefused(t *testing.T) {
	w := newWorld(t)
	m := w.open(func(c *Config) { c.Alg = EdDSA })
	raw := w.token(m)
	for i := range len(raw) {
		for _, flip := range []byte{0x01, 0x20} {
			mutant := []byte(raw)
			mutant[i] ^= flip
			_, err := m.Verify(t.Context(), string(mutant))
			require.Error(t, err, "byte %d", i)
		}
		_, err := m.Verify(t.Context(), raw[:i])
		require.Error(t, err, "cut at %d", i)
	}
	w.verifies(m, raw)
}

func TestMintRefuses(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	for name, c := range map[string]struct {
		spoil func(*tokenboundary.Claims)
		is    error
		want  string
	}{
		"as it should be": {func(*tokenboundary.Claims) {}, nil, ""},
		"another issuer":  {func(c *tokenboundary.Claims) { c.Issuer += "/" }, tokenboundary.ErrInvalid, "another issuer"},
		"no issuer":       {func(c *tokenboundary.Claims) { c.Issuer = "" }, tokenboundary.ErrInvalid, "another issuer"},
		"no key":          {func(c *tokenboundary.Claims) { c.Key = "" }, tokenboundary.ErrUnavailable, "may not sign"},
		"unknown key":     {func(c *tokenboundary.Claims) { c.Key = id("x") }, tokenboundary.ErrUnavailable, "may not sign"},
		"no subject":      {func(c *tokenboundary.Claims) { c.Subject = "" }, tokenboundary.ErrInvalid, "sub"},
		"no audience":     {func(c *tokenboundary.Claims) { c.Audience = nil }, tokenboundary.ErrInvalid, "aud"},
		"empty audience":  {func(c *tokenboundary.Claims) { c.Audience[0] = "" }, tokenboundary.ErrInvalid, "aud"},
		"no expiry":       {func(c *tokenboundary.Claims) { c.ExpiresAt = 0 }, tokenboundary.ErrInvalid, "exp"},
		"no id":           {func(c *tokenboundary.Claims) { c.ID = "" }, tokenboundary.ErrInvalid, "jti"},
		"no client":       {func(c *tokenboundary.Claims) { c.ClientID = "" }, tokenboundary.ErrInvalid, "client_id"},
		"not UTF-8":       {func(c *tokenboundary.Claims) { c.ACR = "\xff" }, tokenboundary.ErrInvalid, "UTF-8"},
		"details no JSON": {func(c *tokenboundary.Claims) { c.Details[0] = json.RawMessage(`{`) }, tokenboundary.ErrInvalid, "authorization_details"},
		"too long":        {func(c *tokenboundary.Claims) { c.Scope = strings.Repeat("a", canon.MaxMinted) }, tokenboundary.ErrInvalid, "8192 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			in := claims(w.key(m))
			c.spoil(&in)
			raw, err := m.Mint(t.Context(), in)
			if c.is == nil {
				require.NoError(t, err)
				w.verifies(m, raw)
				return
			}
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.want)
			require.Empty(t, raw)
		})
	}
}

// The longest token that is minted is one that is also accepted.
func TestTheLimitIsOneLimit(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	in := claims(w.key(m))
	in.Scope = ""
	base, err := m.Mint(t.Context(), in)
	require.NoError(t, err)
	room := (canon.MaxMinted - len(base)) * 3 / 4
	longest := 0
	for n := room - 20; n < room+20; n++ {
		in.Scope = strings.Repeat("a", n)
		raw, err := m.Mint(t.Context(), in)
		if err != nil {
			require.ErrorIs(t, err, errTooLong)
			continue
		}
		w.verifies(m, raw)
		longest = len(raw)
	}
	require.InDelta(t, canon.MaxMinted, longest, 3)
	require.LessOrEqual(t, longest, canon.MaxMinted)
}

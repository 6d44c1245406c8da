package tokenboundary_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// wire is everybody outside the boundary, with keys of their own: what they sign is verified by the real sources.
type wire struct {
	ours, key, rogue *ecdsa.PrivateKey // the boundary's, everybody else's, and nobody's
	keys, svid       string            // files with the public keys
}

const (
	provider = "https://idp.example"
	domain   = "acme.example"
	secret   = "a secret of more than sixteen bytes"
)

// object is a JSON object. A nil value in a change removes the member.
type object = map[string]any

func newWire(t *testing.T) *wire {
	f := &wire{}
	for _, k := range []**ecdsa.PrivateKey{&f.ours, &f.key, &f.rogue} {
		var err error
		*k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	publish := func(name, use string) string {
		point, err := f.key.PublicKey.Bytes()
		require.NoError(t, err)
		jwk := object{
			"kty": "EC", "crv": "P-256", "kid": "k", "use": use,
			"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		}
		raw, err := json.Marshal(object{"keys": []object{jwk}})
		require.NoError(t, err)
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, raw, 0o600))
		return file
	}
	f.keys, f.svid = publish("keys.json", "sig"), publish("bundle.json", "jwt-svid")
	return f
}

// minting lets a boundary sign with the key.
func (f *wire) minting(w *world) {
	m, err := mint.Open(w.ctx, mint.Config{Issuer: issuer, Store: memory.New(), Signer: f.ours, Clock: w.clock})
	require.NoError(w, err)
	w.cfg.Minter = m
}

// sources are the identity sources of a boundary that trusts all of them.
func (f *wire) sources(w *world) []tb.IdentitySource {
	secrets := identity.ClientsConfig{Issuer: issuer, Clock: w.clock}
	assertions := secrets
	for id := range w.clients {
		secrets.Clients = append(secrets.Clients, identity.ClientAuth{ID: id, Secret: secret})
		assertions.Clients = append(assertions.Clients, identity.ClientAuth{ID: id, JWKSFile: f.keys})
	}
	bySecret, err := identity.Clients(secrets)
	require.NoError(w, err)
	byAssertion, err := identity.Clients(assertions)
	require.NoError(w, err)
	people, err := identity.OIDC(identity.OIDCConfig{
		Issuer: provider, Audience: issuer, Session: "human", JWKSFile: f.keys, Clock: w.clock,
	})
	require.NoError(w, err)
	agents, err := identity.SPIFFE(identity.SPIFFEConfig{TrustDomain: domain, BundleFile: f.svid, Audience: issuer, Clock: w.clock})
	require.NoError(w, err)
	clients := func(ctx context.Context, c tb.Credential) (tb.Principal, error) {
		if c.Type == tb.TypeClientAssertion {
			return byAssertion.Identify(ctx, c)
		}
		return bySecret.Identify(ctx, c)
	}
	return []tb.IdentitySource{tb.IdentityFunc(clients), people, agents}
}

var wireHeader = object{"alg": "ES256", "kid": "k"}

// changed returns base with the changes applied.
func changed(base object, changes ...object) object {
	out := maps.Clone(base)
	for _, change := range changes {
		for k, v := range change {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
	}
	return out
}

// signed returns a JWS with the claims, signed by the key as the header says.
func (f *wire) signed(w *world, key *ecdsa.PrivateKey, header object, claims any) string {
	input := segment(w, header) + "." + segment(w, claims)
	digest := sha256.Sum256([]byte(input))
	var sig []byte
	if header["alg"] == "HS256" { // keyed with what everybody knows: the public key
		point, err := key.PublicKey.Bytes()
		require.NoError(w, err)
		mac := hmac.New(sha256.New, point)
		mac.Write([]byte(input))
		sig = mac.Sum(nil)
	} else {
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		require.NoError(w, err)
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func segment(w *world, v any) string {
	raw, err := json.Marshal(v)
	require.NoError(w, err)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// login is the claims of an ID token of somebody who logged in a minute ago, good for ten more.
func (x *try) login(name string) object {
	now := x.clock.Now()
	return object{
		"iss": provider, "sub": name, "aud": issuer, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"sid": "s-" + name, "auth_time": now.Add(-time.Minute).Unix(), "acr": "aal2",
	}
}

// idToken is an ID token of alice, with these changes.
func (x *try) idToken(changes ...object) tb.Credential {
	value := x.wire.signed(x.world, x.wire.key, wireHeader, changed(x.login("alice"), changes...))
	return tb.Credential{Type: tb.TypeIDToken, Value: value}
}

// svid is the identity of a workload of the trust domain.
func (x *try) svid(name string) tb.Credential {
	now := x.clock.Now()
	value := x.wire.signed(x.world, x.wire.key, wireHeader, object{
		"sub": "spiffe://" + domain + "/" + name, "aud": issuer, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	return tb.Credential{Type: tb.TypeJWT, Value: value}
}

// assertion authenticates a client, once; with these changes of its claims.
func (x *try) assertion(client string, changes ...object) tb.Credential {
	return tb.Credential{Type: tb.TypeClientAssertion, Value: x.asserted(client, x.wire.key, wireHeader, changes...)}
}

func (x *try) asserted(client string, key *ecdsa.PrivateKey, header object, changes ...object) string {
	now := x.clock.Now()
	x.serial++
	return x.wire.signed(x.world, key, header, changed(object{
		"iss": client, "sub": client, "aud": issuer, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"jti": fmt.Sprint("a", x.serial),
	}, changes...))
}

// bySecret authenticates a client with its secret.
func bySecret(client string) tb.Credential {
	return tb.Credential{Type: tb.TypeClientSecret, ID: client, Value: secret}
}

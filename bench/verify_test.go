package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-jose/go-jose/v4"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/verify"
)

// served is a boundary behind HTTP with a resource server as a client.
type served struct {
	*tb.Governor
	keys []byte // the key set
	url  string
}

var resource = tb.Client{ID: "crm", Kind: tb.KindResource, Resource: crm}

type withResource struct{ agents }

func (c withResource) Client(ctx context.Context, id string) (tb.Client, error) {
	if id == resource.ID {
		return resource, nil
	}
	return c.agents.Client(ctx, id)
}

func serve(b *testing.B) served {
	set, err := policy.Load(fstest.MapFS{"agents/crm.yaml": {Data: []byte(leaf)}})
	check(b, err)
	state := memory.New()
	m, err := mint.Open(b.Context(), mint.Config{Issuer: issuer, Store: state, Dir: b.TempDir()})
	check(b, err)
	secrets, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clients: []identity.ClientAuth{{ID: "crm", Secret: "a long random secret"}}})
	check(b, err)
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: state, Clients: withResource{}, Policy: set, Minter: m, Identities: []tb.IdentitySource{secrets},
		Lifetimes: tb.Lifetimes{AccessToken: time.Hour, Task: time.Hour},
	})
	check(b, err)
	h, err := endpoint.New(g, endpoint.Config{JWKS: m.JWKS})
	check(b, err)
	_, err = g.Signal(b.Context(), ops, tb.Signal{Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "agent-1"}, Risk: "low"})
	check(b, err)
	server := httptest.NewServer(h)
	b.Cleanup(server.Close)
	keys, err := m.JWKS(b.Context())
	check(b, err)
	return served{g, keys, server.URL}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// token is a token of an agent that acts for a person within a task, derived twice.
func (s served) token(b *testing.B) tb.Token {
	b.Helper()
	first, err := s.Issue(b.Context(), triage("agent-1", human("alice")))
	check(b, err)
	second, err := s.Issue(b.Context(), triage("agent-1", accessToken(first)))
	check(b, err)
	return second
}

// follow makes a Verifier that follows the feed until the benchmark ends.
func (s served) follow(b *testing.B, wrap func(verify.Boundary) verify.Boundary) *verify.Verifier {
	b.Helper()
	remote, err := verify.NewRemote(verify.RemoteConfig{URL: s.url, Credential: verify.Secret("crm", "a long random secret"), Client: &http.Client{Transport: &http.Transport{}}})
	check(b, err)
	v, err := verify.New(verify.Config{Issuer: issuer, Resource: crm, JWKS: s.keys, Boundary: wrap(remote), Lifetime: 8 * time.Hour})
	check(b, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		<-done
	})
	check(b, v.Await(b.Context(), 0))
	return v
}

// bare checks nothing but the signature of an ES256 token.
func bare(raw string, key *ecdsa.PublicKey) bool {
	at := strings.LastIndexByte(raw, '.')
	sig, err := base64.RawURLEncoding.DecodeString(raw[at+1:])
	if err != nil || len(sig) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(raw[:at]))
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// BenchmarkVerifyMiddleware measures a request through the middleware beside the bare check of the same token's signature,
// in one run and by processor time, with as many revocations in force as its name says.
func BenchmarkVerifyMiddleware(b *testing.B) {
	for _, entries := range []int{0, 50_000} {
		b.Run(fmt.Sprintf("revoked=%d", entries), func(b *testing.B) {
			s := serve(b)
			for i := range entries {
				sel := lineage.Selector{Kind: lineage.SelectToken, Value: lineage.IDOf(fmt.Append(nil, i)).String()}
				_, err := s.Revoke(b.Context(), ops, lineage.Revocation{Selector: sel})
				check(b, err)
			}
			raw := s.token(b).Value()
			v := s.follow(b, func(r verify.Boundary) verify.Boundary { return r })
			reached := 0
			h := v.Require(verify.Route{Scopes: []string{"cases:read"}})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
			r := httptest.NewRequest(http.MethodGet, crm+"v1/cases", nil)
			r.Header.Set("Authorization", "Bearer "+raw)
			var keys jose.JSONWebKeySet
			check(b, json.Unmarshal(s.keys, &keys))
			key := keys.Keys[0].Key.(*ecdsa.PublicKey)
			const batch = 20
			var middle, signature time.Duration
			rounds := 0
			for b.Loop() {
				at := suite.CPUTime()
				for range batch {
					if !bare(raw, key) {
						b.Fatal("not signed")
					}
				}
				between := suite.CPUTime()
				for range batch {
					h.ServeHTTP(discard{http.Header{}}, r)
				}
				signature, middle = signature+between-at, middle+suite.CPUTime()-between
				rounds += batch
			}
			if reached != rounds {
				b.Fatal("refused")
			}
			b.ReportMetric(float64(middle.Nanoseconds())/float64(rounds), "cpu-ns/request")
			b.ReportMetric(float64(signature.Nanoseconds())/float64(rounds), "cpu-ns/signature")
			b.ReportMetric(float64(middle)/float64(signature), "ratio")
		})
	}
}

// seen tells when an entry of the feed is in force at a Verifier.
type seen struct {
	verify.Boundary
	at chan<- uint64
}

func (s seen) Revocations(ctx context.Context, after uint64, wait time.Duration) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		for r, err := range s.Boundary.Revocations(ctx, after, wait) {
			if !yield(r, err) {
				return
			}
			if err == nil { // when yield returns it is in force
				s.at <- r.Seq
			}
		}
	}
}

// BenchmarkRevocationSeen measures how long after a revocation was asked for it is in force at each of 100 resource servers
// that follow the feed over HTTP.
func BenchmarkRevocationSeen(b *testing.B) {
	const subscribers = 100
	s := serve(b)
	at := make(chan uint64, subscribers)
	verifiers := make([]*verify.Verifier, subscribers)
	for i := range verifiers {
		verifiers[i] = s.follow(b, func(r verify.Boundary) verify.Boundary { return seen{r, at} })
	}
	var all []time.Duration
	for b.Loop() {
		tok := s.token(b)
		start := time.Now()
		_, err := s.Revoke(b.Context(), ops, lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectToken, Value: tok.ID.String()}})
		check(b, err)
		for range subscribers {
			<-at
			all = append(all, time.Since(start))
		}
		for _, v := range verifiers[:1] {
			if _, err := v.Verify(b.Context(), tok.Value()); err == nil {
				b.Fatal("accepted")
			}
		}
	}
	slices.Sort(all)
	for name, q := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99, "max-ms": 1} {
		n := min(int(q*float64(len(all))), len(all)-1)
		b.ReportMetric(float64(all[n].Microseconds())/1000, name)
	}
}

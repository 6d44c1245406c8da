package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const erp = "https://erp.example/"

// account is a provider of one credential.
type account struct{}

func (account) Fetch(context.Context, tb.Lease) (broker.Issued, error) {
	return broker.Issued{Secret: broker.NewSecret(map[string]string{"token": "a credential of the system behind"})}, nil
}

func (account) Revoke(context.Context, tb.Lease) error { return nil }

// proxied is a proxy in front of a system, and a token for it.
func proxied(b *testing.B, upstream *url.URL) (*broker.Proxy, tb.Token, *tb.Governor) {
	set, err := policy.Load(fstest.MapFS{"erp.yaml": {Data: []byte(`
bind: {client: bot, connection: erp, resource: https://erp.example/}
allow: [{rule: reading, when: "true", scopes: [read]}]
`)}})
	check(b, err)
	state := memory.New()
	m, err := mint.Open(b.Context(), mint.Config{Issuer: issuer, Store: state, Dir: b.TempDir()})
	check(b, err)
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: state, Policy: set, Minter: m, Lifetimes: tb.Lifetimes{AccessToken: time.Hour, Task: time.Hour},
		Clients: tb.ClientMap{"bot": {ID: "bot", Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials}, Connections: []string{"erp"}}},
	})
	check(b, err)
	br, err := broker.New(broker.Config{
		Governor: g, Providers: map[string]broker.Provider{"erp": account{}},
		Client: tb.Client{ID: "erp-broker", Kind: tb.KindResource, Resource: erp, Connections: []string{"erp"}},
	})
	check(b, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- br.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		<-done
	})
	p, err := broker.NewProxy(broker.ProxyConfig{
		Broker: br, Upstream: upstream, Inject: map[string]string{"Authorization": "Bearer {token}"},
		Routes: []broker.Route{
			{Methods: []string{"POST"}, Path: "/v1/invoices", Scopes: []string{"read"}}, {Methods: []string{"GET"}, Path: "/v1/invoices/*", Scopes: []string{"read"}},
		},
	})
	check(b, err)
	tok, err := g.Issue(b.Context(), tb.Request{
		Grant: tb.ClientCredentials, Scopes: []string{"read"}, Task: &tb.TaskSpec{Purpose: "close the month"},
		Client: tb.Credential{Type: "host", ID: "bot", Verified: &tb.Principal{Party: lineage.Party{ID: "bot", Issuer: issuer}, Identity: true}},
	})
	check(b, err)
	return p, tok, g
}

// lane is a proxy that is measured.
type lane struct {
	url  string
	all  []time.Duration // of one request each
	wall time.Duration   // of all of them, by as many callers as there are
	cpu  time.Duration
}

func (l *lane) serve(b *testing.B, h http.Handler, wrap func(net.Listener) net.Listener) {
	s := httptest.NewUnstartedServer(h)
	s.Listener = wrap(s.Listener)
	s.Start()
	b.Cleanup(s.Close)
	l.url = s.URL + "/v1/invoices/7"
}

// turn makes n requests for each caller.
func (l *lane) turn(b *testing.B, client *http.Client, token string, callers, n int) {
	took := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	start, cpu := time.Now(), suite.CPUTime()
	for i := range callers {
		wg.Go(func() {
			for range n {
				req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, l.url, nil)
				req.Header.Set("Authorization", "Bearer "+token)
				req.Header.Set("Accept", "application/json")
				at := time.Now()
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Error(err, resp.StatusCode)
					return
				}
				took[i] = append(took[i], time.Since(at))
			}
		})
	}
	wg.Wait()
	l.wall, l.cpu = l.wall+time.Since(start), l.cpu+suite.CPUTime()-cpu
	l.all = append(l.all, slices.Concat(took...)...)
}

func (l *lane) quantile(q float64) time.Duration {
	slices.Sort(l.all)
	return l.all[min(int(q*float64(len(l.all))), len(l.all)-1)]
}

// BenchmarkProxy measures requests over loopback through a bare httputil.ReverseProxy and through the broker's proxy, in turns of
// one run, to one system behind both, which answers with 1 KiB. Processor time is that of all four ends together.
func BenchmarkProxy(b *testing.B) {
	for _, callers := range []int{1, 8} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			answer := make([]byte, 1<<10)
			system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(answer)
			}))
			b.Cleanup(system.Close)
			upstream, err := url.Parse(system.URL)
			check(b, err)
			p, tok, _ := proxied(b, upstream)
			var bare, ours lane
			bare.serve(b, &httputil.ReverseProxy{
				Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
				Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
			}, func(l net.Listener) net.Listener { return l })
			ours.serve(b, p, broker.Strict)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
			const each = 50
			for _, l := range []*lane{&bare, &ours} {
				(&lane{url: l.url}).turn(b, client, tok.Value(), callers, 100) // warm
			}
			rounds := 0
			for b.Loop() {
				bare.turn(b, client, tok.Value(), callers, each)
				ours.turn(b, client, tok.Value(), callers, each)
				rounds++
			}
			check(b, p.Flush(b.Context()))
			n := float64(rounds * each * callers)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(n/bare.wall.Seconds(), "bare-req/s")
			b.ReportMetric(n/ours.wall.Seconds(), "proxy-req/s")
			b.ReportMetric(ours.wall.Seconds()/bare.wall.Seconds(), "ratio-req")
			b.ReportMetric(float64(bare.quantile(0.99).Microseconds()), "bare-p99-us")
			b.ReportMetric(float64(ours.quantile(0.99).Microseconds()), "proxy-p99-us")
			b.ReportMetric(float64(ours.quantile(0.99))/float64(bare.quantile(0.99)), "ratio-p99")
			b.ReportMetric(ours.cpu.Seconds()/bare.cpu.Seconds(), "ratio-cpu")
		})
	}
}

// BenchmarkStreamCut measures how long after a revocation was asked for a stream through the proxy has broken off at its caller.
func BenchmarkStreamCut(b *testing.B) {
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	b.Cleanup(system.Close)
	upstream, err := url.Parse(system.URL)
	check(b, err)
	p, _, g := proxied(b, upstream)
	var l lane
	l.serve(b, p, broker.Strict)
	for b.Loop() {
		tok, err := g.Issue(b.Context(), tb.Request{
			Grant: tb.ClientCredentials, Scopes: []string{"read"},
			Client: tb.Credential{Type: "host", ID: "bot", Verified: &tb.Principal{Party: lineage.Party{ID: "bot", Issuer: issuer}, Identity: true}},
		})
		check(b, err)
		req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, l.url, nil)
		req.Header.Set("Authorization", "Bearer "+tok.Value())
		resp, err := http.DefaultClient.Do(req)
		check(b, err)
		if _, err := io.ReadFull(resp.Body, make([]byte, 8)); err != nil {
			b.Fatal(resp.StatusCode, err)
		}
		start := time.Now()
		_, err = g.Revoke(b.Context(), ops, lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectToken, Value: tok.ID.String()}})
		check(b, err)
		if _, err := io.ReadAll(resp.Body); err == nil {
			b.Fatal("it ended as if it were whole")
		}
		l.all = append(l.all, time.Since(start))
	}
	b.ReportMetric(float64(l.quantile(0.5).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(l.quantile(1).Microseconds())/1000, "max-ms")
}

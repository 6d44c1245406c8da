package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy"
)

// loads counts how often a policy set was loaded again and came into force, and how often it was refused.
type loads struct{ done, refused atomic.Uint64 }

func (l *loads) count(err error) {
	if err != nil {
		l.refused.Add(1)
	} else {
		l.done.Add(1)
	}
}

// metrics collects what the boundary counts. Nothing in it names a client, a subject, a task or a token.
type metrics struct {
	health   func(context.Context) tokenboundary.Health
	policies *policy.Watched
	trial    *policy.Watched  // nil without a set on trial
	shadow   *policy.Shadowed // nil without a set on trial
	loads    map[string]*loads
	review   *review
	brokers  []*brokered
}

const prefix = "tokenboundary_"

var (
	upDesc      = describe("ready", "Whether the store answers and a key can sign.")
	nobodyDesc  = describe("unauthenticated_total", "Requests that were nobody's.")
	unkeptDesc  = describe("unrecorded_denials_total", "Denials that could not be recorded.")
	versionDesc = describe("policy_info", "The policy set in force, and the one on trial.", "set", "version")
	refusedDesc = describe("policy_refused", "Whether the directory's present content is refused; the last good set is then in force.", "set")
	loadsDesc   = describe("policy_reloads_total", "Policy sets loaded since the start, without the first.", "set", "outcome")
	trialDesc   = describe("policy_trial_decisions_total", "Requests put to the policy set on trial.", "outcome")
	reviewDesc  = describe("review_tokens_total", "Live tokens decided anew after policies changed.", "outcome")
	leasesDesc  = describe("leases", "Credentials in the books of the brokers, those of them that are to be taken back, and those of which it was tried in vain.", "state")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, nobodyDesc, unkeptDesc, versionDesc, refusedDesc, loadsDesc, trialDesc, reviewDesc, leasesDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h := m.health(ctx)
	gauge(upDesc, number(h.Ready))
	counter(nobodyDesc, h.Unauthenticated)
	counter(unkeptDesc, h.Unrecorded)
	for name, set := range map[string]*policy.Watched{"live": m.policies, "trial": m.trial} {
		if set == nil {
			continue
		}
		gauge(versionDesc, 1, name, set.Version())
		gauge(refusedDesc, number(set.Err() != nil), name)
		counter(loadsDesc, m.loads[name].done.Load(), name, "loaded")
		counter(loadsDesc, m.loads[name].refused.Load(), name, "refused")
	}
	if m.shadow != nil {
		t := m.shadow.Trial()
		counter(trialDesc, t.Asked-t.Differed-t.Failed, "same")
		counter(trialDesc, t.Differed, "differed")
		counter(trialDesc, t.Failed, "failed")
	}
	if len(m.brokers) > 0 {
		var held, ending, failing int
		for _, b := range m.brokers {
			o := b.Outstanding()
			held, ending, failing = held+o.Leases, ending+o.Ending, failing+o.Failing
		}
		gauge(leasesDesc, float64(held), "all")
		gauge(leasesDesc, float64(ending), "ending")
		gauge(leasesDesc, float64(failing), "failing")
	}
	counter(reviewDesc, m.review.kept.Load(), "kept")
	counter(reviewDesc, m.review.revoked.Load(), "revoked")
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// serveMetrics serves them at the address until ctx ends or the returned function is called; nothing where the address is
// empty.
func serveMetrics(ctx context.Context, address string, m *metrics, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout, WriteTimeout: writeTimeout, MaxHeaderBytes: maxHeader}
	log.Info("metrics", "metrics", listener.Addr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "cause", err)
		}
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}

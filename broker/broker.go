package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var (
	// ErrOver means that a lease is over. Another one has to be asked for.
	ErrOver = errors.New("broker: the lease is over")
	// ErrKept means that a credential does not leave the broker.
	ErrKept = errors.New("broker: the credential is not to be delivered")
)

// Config is what a Broker is made of. Governor, Client and Providers are required.
type Config struct {
	Governor *tokenboundary.Governor
	// Client is the broker's registration: of kind resource, with the resource that agents' tokens are for, and the
	// connections that it may lease credentials of. Several processes may share one.
	Client tokenboundary.Client
	// Providers make the credentials: one for each connection of Client.
	Providers map[string]Provider
	// Sealer seals the handles of providers before they are put into the book. Nil: a provider that returns a handle makes its
	// lease fail.
	Sealer Sealer
	// Timeout bounds each call of a Provider. Zero: 10 s; at most 5 min.
	Timeout time.Duration
	// Retry is how long the broker waits after a first failure to take a credential back; it doubles with each up to a
	// minute. Zero: 1 s.
	Retry time.Duration
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
	// Logger receives what operators should see. Nil: nothing is logged.
	Logger *slog.Logger
}

// The bounds of Config.
const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 5 * time.Minute
	maxRetry       = time.Minute
)

// Broker keeps the leases of one registration. It is safe for concurrent use; make it with New, and keep Run running.
type Broker struct {
	cfg  Config
	wake chan struct{} // there is something to look at

	proofs proofs // that were used at its proxies

	mu       sync.Mutex
	held     map[lineage.ID]*Lease  // of this process
	shared   map[leaseKey]*Lease    // the same, by what they were made for
	fetching map[lineage.ID]bool    // what a call of Fetch in this process may still make
	unwanted map[lineage.ID]bool    // what nobody will use, whatever the book says
	troubles map[lineage.ID]trouble // what could not be taken back
	queues   map[string]*queue      // by connection
	counts   Outstanding
}

// New returns a Broker. The error names the field of cfg that it cannot work with.
func New(cfg Config) (*Broker, error) {
	switch {
	case cfg.Governor == nil:
		return nil, errors.New("broker: Config.Governor is required")
	case cfg.Client.ID == "" || cfg.Client.Kind != tokenboundary.KindResource || cfg.Client.Resource == "":
		return nil, errors.New("broker: Config.Client must be of kind resource and have a resource")
	case len(cfg.Client.Connections) == 0:
		return nil, errors.New("broker: Config.Client has no connections to lease credentials of")
	case cfg.Timeout < 0 || cfg.Timeout > maxTimeout:
		return nil, fmt.Errorf("broker: Config.Timeout must be between 0 and %s", maxTimeout)
	case cfg.Retry < 0 || cfg.Retry > maxRetry:
		return nil, fmt.Errorf("broker: Config.Retry must be between 0 and %s", maxRetry)
	}
	for _, name := range cfg.Client.Connections {
		if cfg.Providers[name] == nil {
			return nil, fmt.Errorf("broker: Config.Providers has none for the connection %q", name)
		}
	}
	for name := range cfg.Providers {
		if !slices.Contains(cfg.Client.Connections, name) {
			return nil, fmt.Errorf("broker: Config.Providers[%q] is for no connection of Config.Client", name)
		}
	}
	cfg.Providers = maps.Clone(cfg.Providers)
	cfg.Timeout, cfg.Retry = cmp.Or(cfg.Timeout, defaultTimeout), cmp.Or(cfg.Retry, time.Second)
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		cfg: cfg, wake: make(chan struct{}, 1), held: map[lineage.ID]*Lease{}, shared: map[leaseKey]*Lease{},
		fetching: map[lineage.ID]bool{}, unwanted: map[lineage.ID]bool{}, troubles: map[lineage.ID]trouble{},
		queues: map[string]*queue{},
	}
	for name := range cfg.Providers {
		b.queues[name] = &queue{filled: make(chan struct{}, 1), taken: map[lineage.ID]bool{}}
	}
	return b, nil
}

// Lease decides whether the broker may hold a credential for the token that was presented, and fetches one. The lease is in
// the book before that. Each call makes one: see Find.
//
// A refusal is a *tokenboundary.DeniedError. An error wrapping tokenboundary.ErrUnavailable means that nothing could be
// decided, recorded or fetched, and one wrapping tokenboundary.ErrDenied that the other system refused; whatever it may have
// made is taken back.
func (b *Broker) Lease(ctx context.Context, req tokenboundary.LeaseRequest) (*Lease, error) {
	return b.lease(ctx, b.cfg.Client, req, keyOf(lineage.ID{}, req.Scopes))
}

// lease is Lease for the client with fewer connections. The key is completed with the token.
func (b *Broker) lease(ctx context.Context, client tokenboundary.Client, req tokenboundary.LeaseRequest, key leaseKey) (*Lease, error) {
	req.Intent = 2 * b.cfg.Timeout // it is over only when Fetch has long ended
	info, err := b.cfg.Governor.Attach(ctx, client, req)
	if err != nil {
		return nil, err
	}
	key.token = info.Token
	b.mark(b.fetching, info.ID)
	type result struct {
		lease *Lease
		err   error
	}
	out := make(chan result, 1)
	go func() { // what was begun is finished, whoever still waits for it
		l, err := b.fetch(context.WithoutCancel(ctx), info, key)
		b.unmark(b.fetching, info.ID)
		b.nudge()
		out <- result{l, err}
	}()
	select {
	case r := <-out:
		return r.lease, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Find returns a lease of this process that was made from the token for exactly these scopes, as in LeaseRequest.Scopes, and is
// neither over nor to be delivered. Whoever asks has verified the token, and the proof of possession where it is bound to a key: Find does not.
func (b *Broker) Find(token lineage.ID, scopes []string) (*Lease, bool) {
	l := b.find(keyOf(token, scopes))
	return l, l != nil
}

// leaseKey is what a lease is found by.
type leaseKey struct {
	token   lineage.ID
	scopes  string       // that were asked for, in order
	gateway *forwardAuth // that it is delivered to, for requests of the route; nil: it stays with the broker
	route   *route
}

func keyOf(token lineage.ID, scopes []string) leaseKey {
	sorted := slices.Sorted(slices.Values(scopes))
	return leaseKey{token: token, scopes: strings.Join(slices.Compact(sorted), " ")}
}

// find returns the lease with the key; nil where there is none.
func (b *Broker) find(key leaseKey) *Lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shared[key]
}

func (b *Broker) mark(set map[lineage.ID]bool, id lineage.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	set[id] = true
}

func (b *Broker) unmark(set map[lineage.ID]bool, id lineage.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(set, id)
}

// nudge makes Run look at the book soon.
func (b *Broker) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

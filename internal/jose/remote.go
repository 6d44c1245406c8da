package jose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// The times of a Remote.
const (
	cacheTime    = 10 * time.Minute // a set is used this long before it must be fetched again
	refreshAhead = 2 * time.Minute  // before that, it is fetched in the background
	keepTime     = 24 * time.Hour   // the last good set is used this long while the issuer cannot be reached
	missEvery    = time.Minute      // at most one fetch for a kid that is not in the set
	staleEvery   = time.Minute      // at most one fetch while a set is held that should be newer
	emptyEvery   = 5 * time.Second  // at most one fetch while no set is held
	fetchTimeout = 5 * time.Second
)

// Remote is the Source of an issuer's JWKS endpoint. It fetches when first used. However many tokens with whatever
// key ids arrive, at most one fetch runs at a time and their rate is bounded by the constants above.
type Remote struct {
	url    string
	clk    clock.Clock
	client *http.Client

	mu      sync.Mutex
	set     *KeySet   // the last good set
	fetched time.Time // when it was fetched
	tried   time.Time // when the last fetch began
	missed  time.Time // when the last fetch for an unknown kid began
	failure error     // why the last fetch failed, if it did
	flight  chan struct{}
}

// NewRemote returns a Remote for an https URL, or an http one on a loopback host. A nil clk is the wall clock; a nil
// client is one of its own. Redirects are never followed, whatever client is given.
func NewRemote(rawURL string, clk clock.Clock, client *http.Client) (*Remote, error) {
	u, err := canon.SecureURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	if clk == nil {
		clk = clock.New()
	}
	c := http.Client{}
	if client != nil {
		c = *client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = nil
	if c.Timeout <= 0 || c.Timeout > fetchTimeout {
		c.Timeout = fetchTimeout
	}
	return &Remote{url: u.String(), clk: clk, client: &c}, nil
}

// Keys implements Source.
func (r *Remote) Keys(ctx context.Context, kid string) (KeySet, error) {
	if done := r.refresh(kid); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return KeySet{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.set != nil && Within(r.clk.Now(), r.fetched, keepTime):
		return *r.set, nil
	case r.failure != nil:
		return KeySet{}, fmt.Errorf("%w: %w", ErrUnavailable, r.failure)
	}
	return KeySet{}, ErrUnavailable
}

// refresh starts a fetch if one is due. It returns a channel where the caller must wait for its end, and nil where
// the set that is held will do.
func (r *Remote) refresh(kid string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clk.Now()
	held := r.set != nil && Within(now, r.fetched, keepTime)
	fresh := held && Within(now, r.fetched, cacheTime)
	miss := held && kid != "" && !r.set.Has(kid)
	var due bool
	switch {
	case r.flight != nil:
	case !held:
		due = !Within(now, r.tried, emptyEvery)
	case miss && !Within(now, r.missed, missEvery):
		due, r.missed = true, now
	case !Within(now, r.fetched, cacheTime-refreshAhead):
		due = !Within(now, r.tried, staleEvery)
	}
	if due {
		r.tried, r.flight = now, make(chan struct{})
		go r.fly(r.flight)
	}
	// While an issuer is known to be down, known keys are served without waiting for it.
	if !held || miss || !fresh && r.failure == nil {
		return r.flight
	}
	return nil
}

// Within reports whether at is less than d before now. A clock that went back makes everything old.
func Within(now, at time.Time, d time.Duration) bool {
	age := now.Sub(at)
	return !at.IsZero() && age >= 0 && age < d
}

// fly fetches once, on behalf of everyone, and so on nobody's context.
func (r *Remote) fly(done chan struct{}) {
	set, err := r.fetch()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure = err; err == nil {
		r.set, r.fetched = &set, r.clk.Now()
	}
	r.flight = nil
	close(done)
}

func (r *Remote) fetch() (KeySet, error) {
	req, err := http.NewRequest(http.MethodGet, r.url, nil)
	if err != nil {
		return KeySet{}, errors.New("jwks_uri: no request can be made")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		var outer *url.Error // repeats the URL, whose query may be confidential
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return KeySet{}, fmt.Errorf("jwks_uri: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing depends on it
	if resp.StatusCode != http.StatusOK {
		return KeySet{}, fmt.Errorf("jwks_uri: status %d", resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, MaxKeySet+1))
	if err != nil {
		return KeySet{}, errors.New("jwks_uri: the answer broke off")
	}
	set, err := ParseKeySet(raw)
	if err != nil {
		return KeySet{}, fmt.Errorf("jwks_uri: %w", err)
	}
	return set, nil
}

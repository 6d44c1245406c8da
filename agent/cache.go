package agent

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary/exchange"
)

// Bounds of what is kept.
const (
	maxTokens = 1024
	maxPause  = time.Minute
)

// tokens are the tokens of a session, by call: connection, tool, resource and scopes. Task, subject and key are those of
// the session.
type tokens struct {
	mu    sync.Mutex
	all   map[string]*entry
	round uint64 // rises when everything is dropped
}

// entry is what is known of one call. Where it has neither a token, a flight nor a pause it is not kept.
type entry struct {
	token  *oauth2.Token // nil: none
	names  names
	flight *flight
	pause  time.Time // until when err is the answer
	err    error
	spared time.Time // until when the token stays although a resource does not accept it
}

// flight is one exchange that any number of callers wait for. Token and err are set before done is closed.
type flight struct {
	done  chan struct{}
	token *oauth2.Token
	err   error
}

// get returns a copy of the token that is kept for c, nil where there is none.
func (k *tokens) get(c Call, now time.Time) *oauth2.Token {
	var room [512]byte
	key := c.appendKey(room[:0])
	k.mu.Lock()
	e := k.all[string(key)]
	if e == nil || e.token == nil || !now.Before(e.token.Expiry) {
		k.mu.Unlock()
		return nil
	}
	t := *e.token
	k.mu.Unlock()
	return &t
}

// join returns the flight for c: one that has landed, that is under way, or that it starts.
func (s *Session) join(c Call) *flight {
	k, key, now := &s.tokens, string(c.appendKey(nil)), s.cfg.Clock.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.all[key]
	if e == nil {
		e = &entry{}
		k.room(now)
		k.all[key] = e
	}
	switch {
	case e.flight != nil:
		return e.flight
	case e.token != nil && now.Before(e.token.Expiry):
		return landed(e.token, nil)
	case now.Before(e.pause):
		return landed(nil, e.err)
	}
	f := &flight{done: make(chan struct{})}
	e.flight = f
	go s.fly(key, e, f, c, k.round)
	return f
}

func landed(t *oauth2.Token, err error) *flight {
	f := &flight{done: make(chan struct{}), token: t, err: err}
	close(f.done)
	return f
}

// fly exchanges. The token is kept unless everything was dropped in the meantime.
func (s *Session) fly(key string, e *entry, f *flight, c Call, round uint64) {
	ctx, cancel := s.cfg.Clock.WithTimeout(s.live, askTimeout)
	defer cancel()
	var n names
	f.token, n, f.err = s.derive(ctx, c)
	k, now := &s.tokens, s.cfg.Clock.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(f.done)
	e.token, e.names, e.flight, e.err, e.pause = nil, names{}, nil, nil, time.Time{}
	switch wait := retryAfter(f.err); {
	case f.err == nil && k.round == round && now.Before(f.token.Expiry):
		e.token, e.names = f.token, n
	case wait > 0:
		e.err, e.pause = f.err, now.Add(wait)
	case k.all[key] == e:
		delete(k.all, key)
	}
}

// retryAfter is for how long an error stands for what would be answered. Only one of a boundary that asked to be left
// alone does.
func retryAfter(err error) time.Duration {
	var e *exchange.Error
	if !errors.As(err, &e) || e.Code != exchange.CodeTemporarilyUnavailable && e.Status != http.StatusTooManyRequests && e.Status != http.StatusServiceUnavailable {
		return 0
	}
	return min(e.RetryAfter, maxPause)
}

// room makes room for one more entry: what is over goes first, then any that nobody waits for.
func (k *tokens) room(now time.Time) {
	if k.all == nil {
		k.all = map[string]*entry{}
	}
	if len(k.all) < maxTokens {
		return
	}
	for key, e := range k.all {
		if e.flight == nil && !now.Before(e.pause) && (e.token == nil || !now.Before(e.token.Expiry)) {
			delete(k.all, key)
		}
	}
	for key, e := range k.all {
		if len(k.all) < maxTokens {
			return
		}
		if e.flight == nil {
			delete(k.all, key)
		}
	}
}

// reject drops the token of a call, if it is still the one that is kept.
func (k *tokens) reject(c Call, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.all[string(c.appendKey(nil))]; e != nil && e.token != nil && e.token.AccessToken == value {
		e.token = nil
	}
}

// spare lets the token of a call stay for a while, although a resource accepts neither it nor the one before: what such a
// resource refuses must not cost a derivation each time, since they are those of the whole task.
func (k *tokens) spare(c Call, value string, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.all[string(c.appendKey(nil))]; e != nil && e.token != nil && e.token.AccessToken == value {
		e.spared = now.Add(maxPause)
	}
}

// isSpared reports whether the token of a call stays.
func (k *tokens) isSpared(c Call, value string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.all[string(c.appendKey(nil))]
	return e != nil && e.token != nil && e.token.AccessToken == value && now.Before(e.spared)
}

// drop drops every token that r may concern, and lets none be kept that was asked for before.
func (k *tokens) drop(concerns func(names) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.round++
	for _, e := range k.all {
		if e.token != nil && concerns(e.names) {
			e.token = nil
		}
	}
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// Bounds on asking the boundary about tokens.
const (
	maxAnswers  = 8192            // tokens whose answer is remembered, at least
	maxAsking   = 32              // questions at a time
	askTimeout  = 5 * time.Second // of one question
	askAgain    = time.Second     // for how long an inactive token, or a failure, is not asked about again
	whyUnasked  = "verify: the boundary cannot be asked about a token"
	whyInactive = "the boundary says so"
)

// answer is what the boundary said of a token.
type answer struct {
	active   bool
	position uint64    // what the feed held before is in it
	at       time.Time // when it was asked
}

// answers remembers the last answer about each token, in two generations: what is not used while the young fills up goes
// with the old. A lost answer costs a question. The zero value is ready.
type answers struct {
	mu         sync.Mutex
	young, old map[string]answer
}

func (a *answers) get(id string) (answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if got, found := a.young[id]; found {
		return got, true
	}
	got, found := a.old[id]
	if found {
		a.keep(id, got)
	}
	return got, found
}

func (a *answers) put(id string, got answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keep(id, got)
}

func (a *answers) keep(id string, got answer) {
	if a.young == nil || len(a.young) >= maxAnswers {
		a.young, a.old = map[string]answer{}, a.young
	}
	a.young[id] = got
}

// asking asks the boundary about tokens: about each once at a time, and about few at a time.
type asking struct {
	slots chan struct{}

	mu      sync.Mutex
	flights map[string]chan struct{}
	failed  time.Time // when the boundary did not answer
}

// confirm returns nil if the boundary says that the token is active: in an answer as of the position, and, where the token
// has to be asked about again and again, one that is young enough.
func (v *Verifier) confirm(ctx context.Context, ix *index, raw string, c *tokenboundary.Claims, position uint64) error {
	every := time.Duration(min(c.Recheck, int64(v.cfg.Lifetime/time.Second)+1)) * time.Second
	due := every > 0 && !v.latest().Before(time.Unix(c.IssuedAt, 0).Add(every))
	if position == 0 && !due {
		return nil
	}
	for {
		now := v.cfg.Clock.Now()
		got, found := ix.answers.get(c.ID)
		switch {
		case found && !got.active && younger(now, got.at, askAgain):
			return fmt.Errorf("%w: %s", ErrInactive, whyInactive)
		case found && got.active && got.position >= position && (!due || younger(now, got.at, every)):
			return nil
		}
		done, mine, err := v.asking.join(c.ID, now)
		if err != nil {
			return err
		}
		if mine {
			go v.ask(context.WithoutCancel(ctx), ix, raw, c.ID, done)
		}
		select {
		case <-done:
		case <-ctx.Done():
			return unasked(ctx.Err())
		}
	}
}

// join returns the end of the question about the token that is under way, and whether the caller has to ask it.
func (a *asking) join(id string, now time.Time) (done chan struct{}, mine bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if done = a.flights[id]; done != nil {
		return done, false, nil
	}
	if younger(now, a.failed, askAgain) {
		return nil, false, unasked(errors.New("it did not answer a moment ago"))
	}
	done = make(chan struct{})
	a.flights[id] = done
	return done, true, nil
}

// ask asks about a token, on behalf of everyone who waits for the answer.
func (v *Verifier) ask(ctx context.Context, ix *index, raw, id string, done chan struct{}) {
	a := &v.asking
	ctx, cancel := within(ctx, v.cfg.Clock, askTimeout)
	defer cancel()
	var state tokenboundary.State
	var position uint64
	var at time.Time
	var err error
	select {
	case a.slots <- struct{}{}:
		position, _ = ix.at()
		at = v.cfg.Clock.Now()
		state, err = v.cfg.Boundary.Introspect(ctx, raw)
		<-a.slots
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil && state.Active && state.Claims.ID != id {
		err = errors.New("an answer about another token")
	}
	if err == nil {
		ix.answers.put(id, answer{state.Active, position, at})
	} else {
		v.cfg.Logger.Warn(whyUnasked, "cause", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed = v.cfg.Clock.Now()
	}
	delete(a.flights, id)
	close(done)
}

func unasked(cause error) error {
	return &tokenboundary.UnavailableError{RetryAfter: askAgain, Err: fmt.Errorf("%s: %w", whyUnasked, cause)}
}

// younger reports whether at is less than d before now. A clock that went back makes everything old.
func younger(now, at time.Time, d time.Duration) bool {
	age := now.Sub(at)
	return !at.IsZero() && age >= 0 && age < d
}

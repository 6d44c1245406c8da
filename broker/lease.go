package broker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Lease is a credential that the broker holds for a token. It is safe for concurrent use.
//
// It hides the credential in logs, in JSON and in fmt.
type Lease struct {
	b    *Broker
	info tokenboundary.Lease
	key  leaseKey
	ctx  context.Context // ends when the lease does
	cut  context.CancelCauseFunc

	mu      sync.Mutex
	secret  Secret
	used    time.Time // last; zero: not since it was renewed
	renewed time.Time
	retry   time.Time // not to be renewed earlier
	expires time.Time // by the other system; zero: not before the lease
}

// Info returns the lease as it was when it was made. Its Handle is empty.
func (l *Lease) Info() tokenboundary.Lease { return l.info }

// Use calls f with the credential, if the lease may be used now: it asks the lineage each time. The context of f ends when
// the lease does. f must not keep the secret, nor put it into an error. An error of f is returned as it is.
//
// ErrOver means that the lease is over: another one has to be asked for.
func (l *Lease) Use(ctx context.Context, f func(context.Context, Secret) error) error {
	secret, err := l.look(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(ErrOver) })()
	return f(ctx, secret)
}

// Deliver returns the credential to be handed on, if it was asked for that, the policy says so, and the lease may be used
// now. ErrKept means that it stays with the broker.
func (l *Lease) Deliver(ctx context.Context) (Secret, error) {
	if !l.info.Deliver {
		return Secret{}, ErrKept
	}
	return l.look(ctx)
}

// Done is closed when the lease is over: what uses the credential has to be cut.
func (l *Lease) Done() <-chan struct{} { return l.ctx.Done() }

// End gives the lease back before its time. It cannot be used on return, whatever is returned; that the credential is taken
// back is up to Broker.Run. An error means that this could not be put down yet.
func (l *Lease) End(ctx context.Context) error {
	b := l.b
	b.mark(b.unwanted, l.info.ID)
	b.drop(l.info.ID)
	defer b.nudge()
	_, err := b.cfg.Governor.SetLease(ctx, b.cfg.Client, l.info.ID, tokenboundary.LeaseEnding, nil)
	switch {
	case errors.Is(err, tokenboundary.ErrConflict), errors.Is(err, tokenboundary.ErrNotFound): // it has ended already
	case err != nil:
		return err
	}
	b.unmark(b.unwanted, l.info.ID)
	return nil
}

// look returns the credential if the lease may be used now, and notes that it is.
func (l *Lease) look(ctx context.Context) (Secret, error) {
	if l.ctx.Err() != nil {
		return Secret{}, ErrOver
	}
	now, err := l.b.cfg.Governor.Lease(ctx, l.b.cfg.Client, l.info.ID)
	if err != nil && !errors.Is(err, tokenboundary.ErrNotFound) {
		return Secret{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.b.cfg.Clock.Now()
	ended := !l.expires.IsZero() && !at.Before(l.expires)
	if err != nil || !now.Usable() || ended || l.ctx.Err() != nil {
		if now.Alive == lineage.Denied || ended {
			l.b.mark(l.b.unwanted, l.info.ID)
		}
		l.b.drop(l.info.ID)
		l.b.nudge()
		return Secret{}, ErrOver
	}
	if due := !l.expires.IsZero() && !at.Before(l.renewAt()); l.used.IsZero() && due {
		l.b.nudge() // it was left alone because nobody used it
	}
	l.used = at
	return l.secret, nil
}

// String names the lease by its id.
func (l *Lease) String() string { return l.info.String() }

// GoString hides the credential.
func (l *Lease) GoString() string { return l.info.String() }

// LogValue hides the credential.
func (l *Lease) LogValue() slog.Value { return l.info.LogValue() }

// MarshalJSON hides the credential.
func (l *Lease) MarshalJSON() ([]byte, error) { return json.Marshal(l.info.String()) }

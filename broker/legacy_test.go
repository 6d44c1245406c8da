package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var (
	errAbout = errors.New("sealed about something else")
	errDown  = errors.New("the system is down")
)

// legacy is a system with accounts of its own, and the provider for it. It lives longer than any broker.
type legacy struct {
	mu       sync.Mutex
	accounts map[string]string // password by name
	made     map[string]bool   // every account that ever was
	revoked  int               // calls of Revoke
	renewals int
	handles  map[lineage.ID]string // that Revoke was given
	life     time.Duration         // of an account; zero: it has no end
	now      func() time.Time

	// What goes wrong; nil: nothing.
	onFetch  func(context.Context, *broker.Issued) error // after the account was made
	onRevoke func(context.Context, tb.Lease) error       // before it is removed
}

func newLegacy() *legacy {
	return &legacy{accounts: map[string]string{}, made: map[string]bool{}, handles: map[lineage.ID]string{}}
}

func (s *legacy) Fetch(ctx context.Context, l tb.Lease) (broker.Issued, error) {
	name := "lease-" + l.ID.String()
	s.mu.Lock()
	s.accounts[name], s.made[name] = "password of "+name, true
	out := broker.Issued{
		Secret: broker.NewSecret(map[string]string{"username": name, "password": s.accounts[name]}), Handle: []byte("handle of " + name),
	}
	if s.life > 0 {
		out.Expires = s.now().Add(s.life)
	}
	hook := s.onFetch
	s.mu.Unlock()
	if hook != nil {
		return out, hook(ctx, &out)
	}
	return out, nil
}

func (s *legacy) Revoke(ctx context.Context, l tb.Lease) error {
	s.mu.Lock()
	s.revoked++
	hook := s.onRevoke
	s.handles[l.ID] = string(l.Handle)
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, l); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.accounts, "lease-"+l.ID.String())
	return nil
}

// renewing is a legacy of which accounts can be prolonged.
type renewing struct{ *legacy }

func (s renewing) Renew(_ context.Context, l tb.Lease) (broker.Issued, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := "handle of lease-" + l.ID.String(); string(l.Handle) != want {
		return broker.Issued{}, fmt.Errorf("the handle is not %q", want)
	}
	s.renewals++
	return broker.Issued{Expires: s.now().Add(s.life)}, nil
}

func (s *legacy) login(secret broker.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	password, ok := s.accounts[secret.Value("username")]
	return ok && password == secret.Value("password")
}

func (s *legacy) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accounts)
}

func (s *legacy) has(id lineage.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts["lease-"+id.String()] != ""
}

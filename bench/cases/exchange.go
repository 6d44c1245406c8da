package cases

import (
	"context"
	"errors"
	"fmt"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

func exchanges() []suite.Case {
	made := func(name string, foreign, seen bool, most float64) suite.Case {
		return suite.Case{
			Group: GroupExchange, Name: name, Base: VerifyAndSign, Targets: []suite.Target{suite.AtMost(suite.Ratio, most)},
			Open: func(dir string) (*suite.Instance, error) { return openExchange(dir, foreign, seen) },
		}
	}
	return []suite.Case{
		made("token of ours, not seen before", false, false, mostUnseen),
		made("token of ours, seen", false, true, mostSeen),
		made("ID token of a provider, not seen before", true, false, mostUnseen),
		made("ID token of a provider, seen", true, true, mostSeen),
	}
}

// What an exchange in process may cost, as a multiple of verifying and signing.
const mostUnseen, mostSeen = 1.30, 0.60

func openExchange(dir string, foreign, seen bool) (*suite.Instance, error) {
	w, err := inMemory(dir)
	if err != nil {
		return nil, err
	}
	return w.exchange(foreign, seen)
}

// exchange measures an exchange from the client's credential to the signed token: the client authenticated by its secret,
// the subject token verified, its lineage read, the policy asked, the result narrowed, recorded and signed.
func (w *world) exchange(foreign, seen bool) (*suite.Instance, error) {
	supply, err := newSupply(w, agent, foreign)
	if err != nil {
		return nil, err
	}
	s := &stock{supply: supply, seen: seen}
	ctx := context.Background()
	ask := func(subject tb.Credential, scopes []string) (tb.Token, error) {
		return w.Issue(ctx, tb.Request{Grant: tb.Exchange, Client: secret(), Subject: subject, Resource: []string{crm}, Scopes: scopes})
	}
	op := func(caller int) (tb.Token, error) {
		subject, err := s.take(caller)
		if err != nil {
			return tb.Token{}, err
		}
		return ask(subject, narrow)
	}
	return &suite.Instance{
		Prepare: s.prepare,
		Op: func(caller int) error {
			_, err := op(caller)
			return err
		},
		Check: func() error {
			t, err := op(0)
			return errors.Join(err, w.narrowed(t.Value()))
		},
		Refuse: func() error {
			subject, err := s.take(0)
			if err != nil {
				return err
			}
			_, wider := ask(subject, []string{"refunds:write"})
			subject.Value = Spoil(subject.Value)
			_, forged := ask(subject, narrow)
			return errors.Join(deniedWith(wider, tb.CodeInvalidScope), deniedWith(forged, tb.CodeInvalidRequest))
		},
	}, nil
}

// deniedWith returns an error unless err is a denial with the code.
func deniedWith(err error, code tb.Code) error {
	var no *tb.DeniedError
	if !errors.As(err, &no) || no.Decision.Code != code {
		return fmt.Errorf("denied with something else than %s: %w", code, err)
	}
	return nil
}

// Spoil changes the signature of a JWT.
func Spoil(token string) string {
	b := []byte(token)
	at := len(b) - 10
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

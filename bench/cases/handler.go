package cases

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// mostHandler is what an exchange at the token endpoint may cost, as a multiple of verifying and signing.
const mostHandler = 1.60

func handlers() []suite.Case {
	made := func(name string, open func(*world, http.Handler) (*suite.Instance, error), targets ...suite.Target) suite.Case {
		c := suite.Case{Group: GroupHandler, Name: name, Base: VerifyAndSign, Targets: targets}
		c.Open = func(dir string) (*suite.Instance, error) {
			w, err := inMemory(dir)
			if err != nil {
				return nil, err
			}
			h, err := endpoint.New(w.Governor, endpoint.Config{JWKS: w.mint.JWKS})
			if err != nil {
				return nil, err
			}
			return open(w, h)
		}
		return c
	}
	credentials := made("client_credentials, client_secret_basic", clientCredentials)
	credentials.Base = SignOnly
	return []suite.Case{
		{Group: GroupHandler, Name: "the request and its answer alone", Base: VerifyAndSign, Open: openEcho},
		made("exchange, client_secret_basic, not seen before", basic(false), suite.AtMost(suite.Ratio, mostHandler)),
		made("exchange, client_secret_basic, seen", basic(true), suite.AtMost(suite.Ratio, mostHandler)),
		made("exchange, private_key_jwt, not seen before", byKey(false)),
		made("exchange, private_key_jwt, seen", byKey(true)),
		credentials,
	}
}

// basic measures the whole way from the form to the JSON answer.
func basic(seen bool) func(*world, http.Handler) (*suite.Instance, error) {
	return func(w *world, h http.Handler) (*suite.Instance, error) {
		supply, err := newSupply(w, agent, false)
		if err != nil {
			return nil, err
		}
		return w.posted(&stock{supply: supply, seen: seen}, func(form string) *Answer { return Post(h, "/token", agent, agentSecret, form) },
			func() error {
				return Refused(Post(h, "/token", agent, "not "+agentSecret, "grant_type=client_credentials"), http.StatusUnauthorized, "invalid_client")
			}), nil
	}
}

// byKey measures the same with a client that authenticates by a new signed assertion each time: one verification and one
// single-use entry more.
func byKey(seen bool) func(*world, http.Handler) (*suite.Instance, error) {
	return func(w *world, h http.Handler) (*suite.Instance, error) {
		supply, err := newSupply(w, signer, false)
		if err != nil {
			return nil, err
		}
		a := &assertions{w: w}
		send := func(form string) *Answer { return Post(h, "/token", "", "", form+a.next()) }
		i := w.posted(&stock{supply: supply, seen: seen}, send, func() error {
			form := "grant_type=client_credentials&scope=" + url.QueryEscape(narrow[0]) + a.next()
			return errors.Join(Expect(Post(h, "/token", "", "", form), http.StatusOK),
				Refused(Post(h, "/token", "", "", form), http.StatusUnauthorized, "invalid_client")) // the second use
		})
		tokens := i.Prepare
		i.Prepare = func(n int) error { return errors.Join(tokens(n), a.prepare(n+spare)) }
		return i, nil
	}
}

// posted measures exchanges that send carries out.
func (w *world) posted(s *stock, send func(form string) *Answer, stranger func() error) *suite.Instance {
	form := ExchangeForm(tb.TypeAccessToken, "resource", crm, "scope", narrow[0])
	op := func(caller int) (*Answer, error) {
		subject, err := s.take(caller)
		if err != nil {
			return nil, err
		}
		return send(form + subject.Value), nil
	}
	return &suite.Instance{
		Prepare: s.prepare,
		Op: func(caller int) error {
			a, err := op(caller)
			if err != nil {
				return err
			}
			return Expect(a, http.StatusOK)
		},
		Check: func() error {
			a, err := op(0)
			if err != nil {
				return err
			}
			raw, err := AccessToken(a)
			return errors.Join(err, w.narrowed(raw))
		},
		Refuse: func() error {
			subject, err := s.take(0)
			if err != nil {
				return err
			}
			wider := strings.Replace(form, url.QueryEscape(narrow[0]), url.QueryEscape("refunds:write"), 1)
			return errors.Join(stranger(), Refused(send(wider+subject.Value), http.StatusBadRequest, "invalid_scope"),
				Refused(send(form+Spoil(subject.Value)), http.StatusBadRequest, "invalid_request"))
		},
	}
}

// assertions are client assertions that were not used yet.
type assertions struct {
	w    *world
	made []string
	at   atomic.Int64
}

// spare is how many more assertions are made than operations: for what is refused.
const spare = 8

func (a *assertions) prepare(n int) error {
	a.made = make([]string, n)
	a.at.Store(0)
	for i := range a.made {
		raw, err := a.w.assertion()
		if err != nil {
			return err
		}
		a.made[i] = "&client_assertion_type=" + url.QueryEscape(exchange.AssertionType) + "&client_assertion=" + raw
	}
	return nil
}

func (a *assertions) next() string { return a.made[a.at.Add(1)-1] }

// clientCredentials measures the grant without a subject token: nothing is verified but the secret.
func clientCredentials(w *world, h http.Handler) (*suite.Instance, error) {
	send := func(secret, scope string) *Answer {
		return Post(h, "/token", agent, secret, "grant_type=client_credentials&scope="+url.QueryEscape(scope))
	}
	return &suite.Instance{
		Op: func(int) error { return Expect(send(agentSecret, narrow[0]), http.StatusOK) },
		Check: func() error {
			raw, err := AccessToken(send(agentSecret, narrow[0]))
			if err != nil {
				return err
			}
			claims, err := w.claims(raw)
			if err != nil || claims["sub"] != agent || claims["scope"] != narrow[0] {
				return fmt.Errorf("not a token of the client: %v %w", claims, err)
			}
			return nil
		},
		Refuse: func() error {
			return errors.Join(Refused(send("not "+agentSecret, narrow[0]), http.StatusUnauthorized, "invalid_client"),
				Refused(send(agentSecret, both[1]), http.StatusBadRequest, "invalid_scope"))
		},
	}, nil
}

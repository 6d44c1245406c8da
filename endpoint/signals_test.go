package endpoint_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// signalIn reads a signal as the endpoint does.
func signalIn(body string) (tokenboundary.Signal, error) {
	r := httptest.NewRequest("POST", "/signals", strings.NewReader(body))
	r.Header.Set("Content-Type", jsonType)
	members, err := exchange.ReadObject(r)
	if err != nil {
		return tokenboundary.Signal{}, err
	}
	return endpoint.ReadSignal(members)
}

func TestReadSignal(t *testing.T) {
	session := lineage.Selector{Kind: lineage.SelectSession, Value: "s:1"}
	for body, want := range map[string]tokenboundary.Signal{
		`{"env":{"frozen":true,"old":null}}`:                              {Env: map[string]any{"frozen": true, "old": nil}},
		`{"policies":"reloaded"}`:                                         {Reloaded: true},
		`{"selector":"session:s:1","risk":{"level":"high"}}`:              {Selector: session, Risk: "high"},
		`{"selector":"session:s:1","ended":true}`:                         {Selector: session, Ended: true},
		`{"selector":"session:s:1","attributes":{"unit":"a","no":null}}`:  {Selector: session, Attributes: map[string]any{"unit": "a", "no": nil}},
		`{"selector":"session:s:1","assurance":{"auth_time":1772366400}}`: {Selector: session, Assurance: &tokenboundary.Assurance{AuthTime: time.Unix(1772366400, 0).UTC()}},
		`{"selector":"session:s:1","assurance":{"acr":"gold","amr":["pwd","hwk"]},"risk":{"level":"low"},"attributes":{"a":1}}`: {
			Selector: session, Risk: "low", Attributes: map[string]any{"a": 1.0}, Assurance: &tokenboundary.Assurance{ACR: "gold", AMR: []string{"pwd", "hwk"}}},
	} {
		got, err := signalIn(body)
		require.NoError(t, err, body)
		require.Equal(t, want, got, body)
	}
}

// noSignals are bodies that are no signal, with what the sender is told.
var noSignals = map[string]string{
	`{}`:                                     "the signal is empty",
	`[]`:                                     "not a JSON object",
	`{"env":{"a":1}`:                         "not acceptable JSON",
	`{"env":{"a":1},"env":{"b":1}}`:          "not acceptable JSON",
	`{"env":{"a":1,"a":2}}`:                  "not acceptable JSON",
	`{"env":{}}`:                             "env is malformed",
	`{"env":null}`:                           "env is malformed",
	`{"env":[1]}`:                            "env is malformed",
	`{"env":"frozen"}`:                       "env is malformed",
	`{"Env":{"a":1}}`:                        "an unknown member",
	`{"env":{"a":1},"until":"tomorrow"}`:     "an unknown member",
	`{"env":{"a":1},"ended":true}`:           "env and policies stand alone",
	`{"policies":"reloaded","ended":true}`:   "env and policies stand alone",
	`{"policies":"reloaded","env":{"a":1}}`:  "env and policies stand alone",
	`{"policies":"Reloaded"}`:                "policies is malformed",
	`{"policies":true}`:                      "policies is malformed",
	`{"policies":""}`:                        "policies is malformed",
	`{"selector":"session:s","env":{"a":1}}`: "env and policies stand alone",
	`{"selector":"session:s","policies":"reloaded"}`:                          "env and policies stand alone",
	`{"selector":"session:s"}`:                                                "says nothing about its selector",
	`{"risk":{"level":"high"}}`:                                               "selector is missing",
	`{"ended":true}`:                                                          "selector is missing",
	`{"selector":"colour:red","ended":true}`:                                  "selector is malformed or of an unknown kind",
	`{"selector":"session:","ended":true}`:                                    "selector is malformed or of an unknown kind",
	`{"selector":"","ended":true}`:                                            "selector is malformed or of an unknown kind",
	`{"selector":null,"ended":true}`:                                          "selector is malformed",
	`{"selector":7,"ended":true}`:                                             "selector is malformed",
	`{"selector":"session:s","ended":false}`:                                  "ended is malformed",
	`{"selector":"session:s","ended":"true"}`:                                 "ended is malformed",
	`{"selector":"session:s","risk":"high"}`:                                  "risk is malformed",
	`{"selector":"session:s","risk":{}}`:                                      "risk is malformed",
	`{"selector":"session:s","risk":null}`:                                    "risk is malformed",
	`{"selector":"session:s","risk":{"level":""}}`:                            "risk is malformed",
	`{"selector":"session:s","risk":{"level":null}}`:                          "level is malformed",
	`{"selector":"session:s","risk":{"level":3}}`:                             "level is malformed",
	`{"selector":"session:s","risk":{"level":"high","until":1}}`:              "an unknown member",
	`{"selector":"session:s","attributes":{}}`:                                "attributes is malformed",
	`{"selector":"session:s","attributes":["a"]}`:                             "attributes is malformed",
	`{"selector":"session:s","risk":{"level":"low"},"attributes":{}}`:         "attributes is malformed",
	`{"selector":"session:s","assurance":{}}`:                                 "assurance is malformed",
	`{"selector":"session:s","assurance":[]}`:                                 "assurance is malformed",
	`{"selector":"session:s","assurance":{"acr":1}}`:                          "acr is malformed",
	`{"selector":"session:s","assurance":{"acr":"a","ACR":"b"}}`:              "an unknown member",
	`{"selector":"session:s","assurance":{"amr":"pwd"}}`:                      "amr is malformed",
	`{"selector":"session:s","assurance":{"amr":[1]}}`:                        "amr is malformed",
	`{"selector":"session:s","assurance":{"auth_time":0}}`:                    "assurance is malformed",
	`{"selector":"session:s","assurance":{"auth_time":-1}}`:                   "assurance is malformed",
	`{"selector":"session:s","assurance":{"auth_time":1.5}}`:                  "auth_time is malformed",
	`{"selector":"session:s","assurance":{"auth_time":"2026"}}`:               "auth_time is malformed",
	`{"selector":"session:s","assurance":{"auth_time":137438953473}}`:         "assurance is malformed",
	`{"selector":"session:s","assurance":{"auth_time":99999999999999999999}}`: "auth_time is malformed",
	`{"env":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 41):   "not acceptable JSON",
}

func TestReadSignalRefuses(t *testing.T) {
	for body, why := range noSignals {
		_, err := signalIn(body)
		require.ErrorContains(t, err, why, body)
		require.Equal(t, "invalid_request", exchange.AsError(err).Code, body)
	}
}

// FuzzReadSignal requires that what is read says something, and about exactly one thing.
func FuzzReadSignal(f *testing.F) {
	f.Add(`{"env":{"frozen":true}}`)
	f.Add(`{"policies":"reloaded"}`)
	f.Add(`{"selector":"session:s","risk":{"level":"high"},"attributes":{"a":[null]},"assurance":{"acr":"a","amr":["b"],"auth_time":1}}`)
	f.Add(`{"selector":"subject:a","ended":true}`)
	for body := range noSignals {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s, err := signalIn(body)
		if err != nil {
			return
		}
		about := s.Risk != "" || len(s.Attributes) > 0 || s.Assurance != nil || s.Ended
		selected := s.Selector != (lineage.Selector{})
		require.Equal(t, selected, about)
		parts := 0
		for _, set := range []bool{selected, len(s.Env) > 0, s.Reloaded} {
			if set {
				parts++
			}
		}
		require.Equal(t, 1, parts)
		_, err = json.Marshal(s)
		require.NoError(t, err, "it can be written down")
	})
}

func (s *server) signal(client, body string) answer {
	return s.do(client, "POST", "/signals", jsonType, body)
}

func TestSignalsAreForOperators(t *testing.T) {
	s := newServer(t)
	for body, why := range noSignals {
		s.refused(s.signal("ops", body), 400, "invalid_request", why)
	}
	good := `{"env":{"frozen":true}}`
	s.refused(s.do("ops", "POST", "/signals", formType, good), 400, "invalid_request", "application/json")
	s.refused(s.do("ops", "POST", "/signals", jsonType, good+strings.Repeat(" ", 256<<10)), 413, "invalid_request", "too large")
	for _, client := range []string{"crm", "support-bot"} {
		s.refused(s.signal(client, good), 403, "unauthorized_client", "")
	}
	s.refused(s.do("", "POST", "/signals", jsonType, good, bearer(s.assertion())), 403, "unauthorized_client", "")
	s.refused(s.signal("", good), 401, "invalid_client", "")
	for _, body := range []string{ // what has a form and no meaning
		`{"selector":"session:s","risk":{"level":"enormous"}}`,
		`{"selector":"connection:prod","risk":{"level":"high"}}`,
		`{"selector":"subject:user:alice","ended":true}`,
	} {
		s.refused(s.signal("ops", body), 400, "invalid_request", "not acceptable")
	}
	s.policy = func(f tokenboundary.Facts) tokenboundary.Verdict {
		require.NotContains(t, f.Env, "frozen", "nothing of it took effect")
		return grantsMost(f)
	}
	s.token("support-bot")
}

func TestSignalDecidesAnew(t *testing.T) {
	s := newServer(t)
	s.policy = func(f tokenboundary.Facts) tokenboundary.Verdict {
		if f.Env["frozen"] == true || f.Risk == "high" || f.Attributes.Subject["unit"] == "closed" || f.Session.ACR == "copper" {
			return tokenboundary.Verdict{}
		}
		return grantsMost(f)
	}
	of := func(person string) string {
		s.Helper()
		return s.ok(s.exchanged("support-bot", s.human(person), tokenboundary.TypeIDToken)).text("access_token")
	}
	for _, c := range []struct{ person, body string }{
		{"alice", `{"selector":"session:user:s-alice","risk":{"level":"high"}}`},
		{"bob", `{"selector":"subject:user:bob","attributes":{"unit":"closed"}}`},
		{"carol", `{"selector":"session:user:s-carol","assurance":{"acr":"copper","amr":["pwd"],"auth_time":1772366300}}`},
		{"dave", `{"selector":"session:user:s-dave","ended":true}`},
	} {
		t.Run(c.person, func(t *testing.T) {
			s := s.in(t)
			token, other := of(c.person), s.token("support-bot")
			a := s.signal("ops", c.body)
			require.Equal(t, 202, a.status, a.raw)
			require.Equal(t, true, a.body["complete"], a.raw)
			require.Equal(t, float64(1), a.body["revoked"], a.raw)
			s.inactive(token)
			s.claims(other)
		})
	}
	last := s.token("support-bot")
	a := s.signal("ops", `{"policies":"reloaded"}`)
	require.Equal(t, 202, a.status, a.raw)
	require.Equal(t, float64(0), a.body["revoked"])
	s.claims(last)
	a = s.signal("ops", `{"env":{"frozen":true}}`)
	require.Equal(t, 202, a.status, a.raw)
	require.NotZero(t, a.body["revoked"])
	require.Equal(t, a.body["examined"], a.body["revoked"].(float64)+a.body["kept"].(float64))
	s.inactive(last)
	s.ok(s.signalled(`{"env":{"frozen":null}}`))
	s.claims(s.token("support-bot"))
}

// signalled sends a signal as an operator and returns its answer as a success.
func (s *server) signalled(body string) answer {
	s.Helper()
	a := s.signal("ops", body)
	require.Equal(s, 202, a.status, a.raw)
	a.status = 200
	return a
}

func TestSignalGoesOn(t *testing.T) {
	s := newServer(t)
	s.policy = func(f tokenboundary.Facts) tokenboundary.Verdict {
		if f.Env["frozen"] == true {
			return tokenboundary.Verdict{}
		}
		return grantsMost(f)
	}
	token := s.token("support-bot")
	s.store.slow.Store(1)
	a := s.signalled(`{"env":{"frozen":true}}`)
	require.Equal(t, false, a.body["complete"], a.raw)
	require.Equal(t, float64(0), a.body["examined"])
	s.store.slow.Store(0)
	a = s.signalled(`{"env":{"frozen":true}}`)
	require.Equal(t, map[string]any{"examined": 1.0, "kept": 0.0, "revoked": 1.0, "complete": true}, a.body, "the same again goes on")
	s.inactive(token)
}

// TestStepUpOverTheWire: a request waits until the session's provider says that the person has authenticated again.
func TestStepUpOverTheWire(t *testing.T) {
	s := newServer(t)
	s.policy = func(f tokenboundary.Facts) tokenboundary.Verdict {
		v := grantsMost(f)
		v.Obligations = []lineage.Obligation{{Kind: "step_up", Scopes: f.Scopes, Args: map[string]string{"acr": "aal2", "max_age": "300"}}}
		return v
	}
	ask := []string{"scope", "refunds:write"}
	alice := s.human("alice")
	s.refused(s.exchanged("support-bot", alice, tokenboundary.TypeIDToken, ask...), 400, "invalid_scope", "")
	a := s.exchanged("support-bot", alice, tokenboundary.TypeIDToken, append(ask, "completion_mode", "deferred")...)
	code := s.refused(a, 400, "authorization_pending", "").text("deferral_code")
	require.Empty(t, s.ok(s.get("lead", "/approvals")).body["approvals"], "there is nothing to agree to")
	s.clock.Add(10 * time.Second)
	s.refused(s.pollFor("support-bot", code), 400, "authorization_pending", "")
	s.signalled(fmt.Sprintf(`{"selector":"session:user:s-alice","assurance":{"acr":"aal2","amr":["hwk"],"auth_time":%d}}`, s.clock.Now().Unix()))
	s.clock.Add(10 * time.Second)
	released := s.ok(s.pollFor("support-bot", code))
	require.Equal(t, "refunds:write", released.text("scope"))
	require.Equal(t, "aal2", s.claims(released.text("access_token"))["acr"], "it says what it waited for")
}

func TestSignalSpendsTheAssertion(t *testing.T) {
	s := newServer(t)
	once := s.assertionOf("ops-signer")
	send := func() answer {
		return s.do("", "POST", "/signals", jsonType, `{"policies":"reloaded"}`, bearer(once))
	}
	require.Equal(t, 202, send().status)
	s.refused(send(), 401, "invalid_client", "")
}

package cases

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// Sign returns a JWT of the claims, signed with ES256.
func Sign(key *ecdsa.PrivateKey, header string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

const jwtHeader = `{"alg":"ES256","kid":"k1","typ":"JWT"}`

// idToken is one of a person who has just logged in; each has a jti of its own.
func (w *world) idToken(person string) (string, error) {
	now := time.Now()
	return Sign(w.key, jwtHeader, map[string]any{
		"iss": idp, "sub": person, "aud": issuer, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(),
		"sid": "session-" + person, "auth_time": now.Unix(), "acr": "aal2", "amr": []string{"pwd", "otp"},
	})
}

// assertion authenticates the client with a key, once.
func (w *world) assertion() (string, error) {
	now := time.Now()
	return Sign(w.key, jwtHeader, map[string]any{
		"iss": signer, "sub": signer, "aud": issuer, "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix(), "jti": rand.Text(),
	})
}

// secret authenticates the client with a secret.
func secret() tb.Credential {
	return tb.Credential{Type: tb.TypeClientSecret, ID: agent, Value: agentSecret}
}

// credential authenticates a client in process.
func (w *world) credential(client string) (tb.Credential, error) {
	if client == agent {
		return secret(), nil
	}
	assertion, err := w.assertion()
	return tb.Credential{Type: tb.TypeClientAssertion, Value: assertion}, err
}

// both are the scopes of a token that is exchanged, and narrow is what is asked for.
var (
	both   = []string{"cases:read", "contacts:read"}
	narrow = both[:1]
)

// tasks is how many tasks the tokens of ours belong to, in turn, so that callers at the same time work at different tasks.
const tasks = 64

// supply hands out the tokens that are exchanged.
type supply struct {
	w       *world
	client  string
	foreign bool // they are ID tokens of the provider; otherwise tokens of ours
	parents []tb.Credential
}

func newSupply(w *world, client string, foreign bool) (s *supply, err error) {
	s = &supply{w: w, client: client, foreign: foreign}
	if foreign {
		return s, nil
	}
	s.parents, err = each(tasks, func(i int) (tb.Credential, error) {
		id, err := w.idToken(fmt.Sprintf("person-%d", i))
		if err != nil {
			return tb.Credential{}, err
		}
		return s.issue(tb.Credential{Type: tb.TypeIDToken, Value: id}, &tb.TaskSpec{Purpose: "triage"})
	})
	return s, err
}

// issue makes a token with both scopes, at the other node.
func (s *supply) issue(subject tb.Credential, task *tb.TaskSpec) (tb.Credential, error) {
	by, err := s.w.credential(s.client)
	if err != nil {
		return tb.Credential{}, err
	}
	t, err := s.w.other.Issue(context.Background(), tb.Request{
		Grant: tb.Exchange, Client: by, Subject: subject, Resource: []string{crm}, Scopes: both, Task: task,
	})
	return tb.Credential{Type: tb.TypeAccessToken, Value: t.Value()}, err
}

// more returns n tokens that there were not before. Those of ours are made by the other node, so that the measured one
// has neither made nor seen them.
func (s *supply) more(n int) ([]tb.Credential, error) {
	return each(n, func(i int) (tb.Credential, error) {
		if !s.foreign {
			return s.issue(s.parents[i%tasks], nil)
		}
		raw, err := s.w.idToken(fmt.Sprintf("person-%d", i%tasks))
		return tb.Credential{Type: tb.TypeIDToken, Value: raw}, err
	})
}

// each makes n credentials, many at the same time, so that they share what is written to a disk.
func each(n int, one func(i int) (tb.Credential, error)) ([]tb.Credential, error) {
	out := make([]tb.Credential, n)
	var next atomic.Int64
	err := suite.Together(tasks, n, func(int) (err error) {
		i := int(next.Add(1) - 1)
		out[i], err = one(i)
		return err
	})
	return out, err
}

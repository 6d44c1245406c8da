// Package peers lists the cases of other projects, each set up as its documentation says and to do as nearly the same as
// the boundary as it can. What it does less, or more, is said at each.
package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/tokenboundary/tokenboundary/bench/cases"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// All returns the cases of the peers, in the groups of package cases that they stand beside.
func All() []suite.Case {
	engine := func(name string, open func(before bool) (*suite.Instance, error), before bool) suite.Case {
		c := suite.Case{Group: cases.GroupEngines, Name: name, Base: cases.BareCEL}
		c.Open = func(string) (*suite.Instance, error) { return open(before) }
		return c
	}
	return []suite.Case{
		engine("cedar-go, request made before", openCedar, true),
		engine("cedar-go, request made per request", openCedar, false),
		engine("OPA prepared query, input parsed before", openOPA, true),
		engine("OPA prepared query, input made per request", openOPA, false),
		{Group: cases.GroupHandler, Name: "zitadel/oidc: exchange, client_secret_basic", Base: cases.VerifyAndSign, Open: openZitadel},
		{Group: cases.GroupHandler, Name: "ory/fosite: client_credentials, client_secret_basic", Base: cases.SignOnly, Open: openFosite},
	}
}

const (
	issuer = "https://peer.example"
	crm    = "https://crm.example.com/"
	client = "agent"
	secret = "a secret of thirty-two letters.."
)

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// equal compares a secret with the SHA-256 of the right one, as the boundary does.
func equal(digest []byte, presented string) bool {
	got := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(digest, got[:]) == 1
}

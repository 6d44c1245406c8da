package tokenboundary_test

import (
	"encoding/json"

	tb "github.com/tokenboundary/tokenboundary"
)

const tenEuros = `[{"amount":10,"type":"payment"}]`

// climb makes the chain.
func (x *try) climb() {
	x.task = x.start()
	x.derived = x.derive(x.task)
	x.above = x.derived.ID
}

func (x *try) start() tb.Token {
	return x.issued(tb.Request{
		Grant: tb.Exchange, Client: bySecret("orchestrator"), Subject: x.idToken(), Resource: []string{crm},
		Scopes: []string{"pay", "read", "write"}, Details: json.RawMessage(tenEuros),
		Task: &tb.TaskSpec{Purpose: "work", MaxDerivations: &x.budget},
	})
}

func (x *try) derive(from tb.Token) tb.Token {
	req := tb.Request{
		Grant: tb.Exchange, Client: bySecret("researcher"), Subject: bearer(from), Resource: []string{crm},
		Scopes: []string{"pay", "read", "write"}, Details: json.RawMessage(tenEuros),
	}
	if x.proof != "" {
		x.registered("researcher", func(c *tb.Client) { c.Binding = tb.BindingOptional })
		req.Proof = x.proves(x.proof)
	}
	return x.issued(req)
}

// asking is the tool's request for a token of its own.
func (x *try) asking(grant tb.Grant, subject tb.Credential) tb.Request {
	return tb.Request{
		Grant: grant, Client: bySecret("tool"), Subject: subject, Connection: "prod", Resource: []string{crm}, Scopes: []string{"read"},
		Details: json.RawMessage(tenEuros), Enforce: everything &^ tb.CapRecord,
	}
}

// proved makes a request prove the key that what it is made from is bound to, where there is one.
func (x *try) proved(req tb.Request) tb.Request {
	if x.proof != "" {
		req.Proof = x.proves(x.proof)
	}
	return req
}

// postponed is the tool's request for what the leads have to agree to.
func (x *try) postponed() tb.Decision {
	req := x.proved(x.asking(tb.Exchange, bearer(x.derived)))
	req.Scopes = []string{"pay"}
	d := x.waits(req)
	x.above = d.ID
	return d
}

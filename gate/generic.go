package gate

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Generic is the codec of a server that is taught to ask: what it has verified, what it can enforce, and, after it has
// minted, the token's handle. An unknown member is refused. docs/hooks.md has the members of call and answer.
//
//	{"grant_type":"client_credentials","client_id":"bot","scopes":["read"],"enforce":["scopes","lifetime","record"]}
//	{"allow":true,"decision":…,"scopes":["read"],"resource":[…],"expires_at":1772366700,"pending":{…}}
//	{"record":{…the pending of the answer…},"handle":"token-1"}
//	{"recorded":true}
type Generic struct{}

// Decode implements Codec.
func (Generic) Decode(body []byte) (Call, error) {
	o, err := objectOf(body)
	if err != nil {
		return Call{}, err
	}
	if o.raw("record") != nil {
		return genericRecording(o)
	}
	o.only("grant_type", "client_id", "connection", "resource", "scopes", "details", "lifetime", "enforce", "subject", "actor",
		"family", "task")
	req := tokenboundary.Request{
		Client: verified("", o.text("client_id")), Connection: o.text("connection"), Resource: o.texts("resource"),
		Scopes: o.texts("scopes"), Details: o.raw("details"), Lifetime: seconds(o, "lifetime"), Enforce: capsOf(o), Task: taskOf(o),
	}
	grant, ok := genericGrants[o.text("grant_type")]
	req.Grant = grant
	req.Subject, req.Actor = presented(o, "subject"), presented(o, "actor")
	family := o.id("family")
	switch {
	case !ok:
		req = refused(req, tokenboundary.CodeUnauthorizedClient)
	case grant == tokenboundary.Refresh && req.Subject.IsZero():
		renew(&req, family)
	case grant == tokenboundary.Refresh, !family.IsZero():
		req = refused(req, tokenboundary.CodeInvalidRequest)
	}
	if err := o.check(); err != nil {
		return Call{}, err
	}
	if req.Client.Verified.Party.ID == "" {
		return Call{}, errors.New("client_id is missing")
	}
	return Call{Request: req, Answer: genericAnswer}, nil
}

// Fail implements Codec.
func (Generic) Fail(e *exchange.Error) Answer { return wireError(e) }

var genericGrants = map[string]tokenboundary.Grant{
	exchange.GrantClientCredentials: tokenboundary.ClientCredentials,
	exchange.GrantTokenExchange:     tokenboundary.Exchange,
	exchange.GrantRefreshToken:      tokenboundary.Refresh,
}

// genericRecording reads the second call.
func genericRecording(o object) (Call, error) {
	o.only("record", "handle")
	rec := Recording{Handle: o.text("handle"), Done: Answer{http.StatusOK, map[string]bool{"recorded": true}}}
	o.read("record", &rec.Decision)
	return Call{Recording: &rec}, o.check()
}

// maxSeconds bounds a duration: a year.
const maxSeconds = 366 * 24 * 60 * 60

func seconds(o object, name string) time.Duration {
	n := o.number(name)
	if n > maxSeconds {
		o.note(name)
		return 0
	}
	return time.Duration(n) * time.Second
}

var capNames = map[string]tokenboundary.Caps{
	"scopes": tokenboundary.CapScopes, "resources": tokenboundary.CapResources, "lifetime": tokenboundary.CapLifetime,
	"record": tokenboundary.CapRecord,
}

func capsOf(o object) tokenboundary.Caps {
	var out tokenboundary.Caps
	for _, name := range o.texts("enforce") {
		if capNames[name] == 0 {
			o.note("enforce")
		}
		out |= capNames[name]
	}
	return out
}

// presented reads whose authority is used, or who acts: a token that the boundary verifies, one that was minted for an
// earlier decision, or somebody whom the server has authenticated.
func presented(o object, name string) tokenboundary.Credential {
	p := o.object(name)
	if p.members == nil {
		return tokenboundary.Credential{}
	}
	p.only("token", "token_type", "decision", "handle", "id", "issuer", "kind", "session", "auth_time", "acr", "amr")
	token, decision, handle, id := p.text("token"), p.id("decision"), p.text("handle"), p.text("id")
	kinds := 0
	for _, there := range []bool{token != "", !decision.IsZero(), handle != "", id != ""} {
		if there {
			kinds++
		}
	}
	if kinds != 1 || (token == "") != (p.text("token_type") == "") {
		o.note(name)
		return tokenboundary.Credential{}
	}
	switch {
	case token != "":
		return tokenboundary.Credential{Type: p.text("token_type"), Value: token}
	case id == "":
		c := verified(tokenboundary.TypeAccessToken, "token")
		c.Verified.Lineage, c.Verified.Handle = decision, handle
		return c
	}
	return authenticated(p, id)
}

// authenticated reads somebody whom the server has authenticated.
func authenticated(p object, id string) tokenboundary.Credential {
	at, kind := p.moment("auth_time"), p.text("kind")
	return tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Verified: &tokenboundary.Principal{
		Party:    lineage.Party{ID: id, Issuer: p.text("issuer"), Kind: kind},
		Session:  lineage.Session{Kind: kind, ID: p.text("session"), AuthTime: at, ACR: p.text("acr"), AMR: p.texts("amr")},
		Identity: true, Issued: at,
	}}
}

// taskOf reads a task that is asked for.
func taskOf(o object) *tokenboundary.TaskSpec {
	t := o.object("task")
	if t.members == nil {
		return nil
	}
	t.only("purpose", "expires_in", "max_derivations", "context", "authority")
	spec := &tokenboundary.TaskSpec{Purpose: t.text("purpose"), ExpiresIn: seconds(t, "expires_in"), Context: t.raw("context")}
	if t.raw("max_derivations") != nil {
		n := uint64(t.number("max_derivations")) //nolint:gosec // not negative
		spec.MaxDerivations = &n
	}
	var list []map[string]json.RawMessage
	t.read("authority", &list)
	for _, members := range list {
		a := object{members: members, wrong: o.wrong}
		a.only("resource", "scopes")
		spec.Authority = append(spec.Authority, lineage.Access{Resource: a.text("resource"), Scopes: a.texts("scopes")})
	}
	return spec
}

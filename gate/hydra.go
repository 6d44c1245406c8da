package gate

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Hydra is the codec of Ory Hydra's token hook (oauth2.token_hook). Host.Lifetime is its ttl.access_token.
//
// Hydra cannot be told to narrow scopes, audience or lifetime, and has no second call. It asks after it has granted, so its
// granted scopes and audience are what is decided. Of the parameters of a request nothing else arrives: a client that wants
// a token below another one of its own asks for the scope "task:" or "task." with the id of that token's decision. On a
// refresh, the family is that of the claim in the token before, which the hook put there.
type Hydra struct{ Host }

// taskScopes are how a scope begins that names a token instead of a permission. For the second, Hydra has a wildcard
// (task.*).
var taskScopes = []string{"task:", "task."}

func (h Hydra) usable() error { return h.needsLifetime() }

// Decode implements Codec.
func (h Hydra) Decode(body []byte) (Call, error) {
	o, err := objectOf(body)
	if err != nil {
		return Call{}, err
	}
	session, request := o.object("session"), o.object("request")
	extra := session.object("extra")
	claims := session.object("id_token").object("id_token_claims")
	client := request.text("client_id")
	scopes, named := splitTask(request.texts("granted_scopes"))
	req := tokenboundary.Request{
		Client: verified("", client), Connection: h.Connection, Scopes: scopes,
		Resource: request.texts("granted_audience"), Lifetime: h.Lifetime,
	}
	req = h.grant(req, request.texts("grant_types"), named, session, extra, claims)
	same := session.text("client_id")
	ext := claims.object("ext").members
	if err := o.check(); err != nil {
		return Call{}, err
	}
	if client == "" || same != "" && same != client {
		return Call{}, errors.New("client_id is missing, or there are two")
	}
	return Call{Request: req, Answer: func(d tokenboundary.Decision) Answer { return hydraAnswer(d, extra.members, ext) }}, nil
}

// Fail implements Codec. Hydra takes every status but 200 and 204 for a refusal.
func (h Hydra) Fail(e *exchange.Error) Answer { return wireError(e) }

// grant turns the request into one of the grant that Hydra is about to answer.
func (h Hydra) grant(req tokenboundary.Request, grants []string, named []lineage.ID, session, extra, claims object) tokenboundary.Request {
	if len(grants) != 1 {
		return refused(req, tokenboundary.CodeInvalidRequest)
	}
	if grants[0] == exchange.GrantRefreshToken { // the scope that names a token is one of the request before
		req.Connection = ""
		renew(&req, lookup(extra, ClaimFamily))
		return req
	}
	req.Resource = h.resources(req.Resource)
	switch {
	case grants[0] == exchange.GrantClientCredentials && len(named) == 0:
		req.Grant = tokenboundary.ClientCredentials
	case grants[0] == exchange.GrantClientCredentials && len(named) == 1:
		within(&req, named[0])
	case slices.Contains(personal, grants[0]) && len(named) == 0:
		req.Grant = tokenboundary.Exchange
		req.Subject = h.user(session.object("id_token"), claims)
	case len(named) > 0:
		return refused(req, tokenboundary.CodeInvalidScope)
	default:
		return refused(req, tokenboundary.CodeUnauthorizedClient)
	}
	return req
}

// personal are the grants behind which a person has authenticated at the server.
var personal = []string{"authorization_code", "urn:ietf:params:oauth:grant-type:device_code"}

// user returns the credential of the person that Hydra's session is of.
func (h Hydra) user(token, claims object) tokenboundary.Credential {
	return h.person(token.text("subject"), claims.text("iss"), lineage.Session{
		ID: claims.object("ext").text("sid"), AuthTime: claims.moment("auth_time"), ACR: claims.text("acr"), AMR: claims.texts("amr"),
	})
}

// splitTask splits the scopes into those that are permissions, and the ids in those that name a token.
func splitTask(scopes []string) (rest []string, named []lineage.ID) {
	for _, s := range scopes {
		if id := tokenIn(s); !id.IsZero() {
			named = append(named, id)
			continue
		}
		rest = append(rest, s)
	}
	return rest, named
}

// tokenIn returns the id in a scope that names a token; the zero ID where it is a permission.
func tokenIn(scope string) lineage.ID {
	for _, prefix := range taskScopes {
		if text, ok := strings.CutPrefix(scope, prefix); ok {
			if id, err := lineage.ParseID(text); err == nil {
				return id
			}
		}
	}
	return lineage.ID{}
}

// lookup returns the id in a claim that a hook may have put there before; the zero ID where there is none.
func lookup(claims object, name string) lineage.ID {
	var text string
	if json.Unmarshal(claims.raw(name), &text) != nil {
		return lineage.ID{}
	}
	id, err := lineage.ParseID(text)
	if err != nil {
		return lineage.ID{}
	}
	return id
}

// hydraAnswer is what Hydra is told. The session of its answer replaces the one that it has: what was in that goes back as
// it came.
func hydraAnswer(d tokenboundary.Decision, extra, ext map[string]json.RawMessage) Answer {
	if d.Effect != tokenboundary.Allow {
		return Answer{http.StatusForbidden, map[string]string{"error": string(d.Code), "error_description": "refused"}}
	}
	access := map[string]any{}
	for name, v := range extra {
		access[name] = v
	}
	for _, name := range []string{ClaimDecision, ClaimFamily, ClaimTask} {
		delete(access, name) // of the token before
	}
	for name, v := range claimsOf(d) {
		access[name] = v
	}
	if ext == nil {
		ext = map[string]json.RawMessage{}
	}
	return Answer{http.StatusOK, map[string]any{"session": map[string]any{"access_token": access, "id_token": ext}}}
}

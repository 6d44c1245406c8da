package gate

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Okta is the codec of Okta's token inline hook (com.okta.oauth2.tokens.transform), which custom authorization servers
// have.
//
// Okta can be told how long a token lives, from five minutes to a day: every token gets Host.Lifetime (zero: five minutes),
// and is refused where policy gives less. It cannot be told to narrow scopes or audience, and has no second call. Nothing in
// a refresh says what it comes from, so all are refused: the refresh grant stays off.
type Okta struct{ Host }

// Bounds on what Okta can be told of a token's lifetime.
const (
	oktaShortest = 5 * time.Minute
	oktaLongest  = 24 * time.Hour
)

func (k Okta) usable() error {
	if l := k.lifetime(); l < oktaShortest || l > oktaLongest || l%time.Second != 0 {
		return errors.New("gate: Okta: Host.Lifetime must be from five minutes to a day, in whole seconds")
	}
	return nil
}

func (k Okta) lifetime() time.Duration {
	if k.Lifetime == 0 {
		return oktaShortest
	}
	return k.Lifetime
}

// Decode implements Codec.
func (k Okta) Decode(body []byte) (Call, error) {
	o, err := objectOf(body)
	if err != nil {
		return Call{}, err
	}
	data := o.object("data")
	access, about := data.object("access"), data.object("context")
	claims, protocol := access.object("claims"), about.object("protocol")
	client := protocol.object("client").text("id")
	req := tokenboundary.Request{
		Client: verified("", client), Connection: k.Connection, Scopes: names(access.object("scopes").members),
		Resource: k.resources(claims.audience("aud")), Lifetime: k.lifetime(),
	}
	grant := protocol.object("request").text("grant_type")
	renewed := grant == exchange.GrantRefreshToken || data.raw("refresh_token") != nil && grant != "authorization_code"
	switch user := about.object("user").text("id"); {
	case renewed:
		renew(&req, lineage.ID{})
	case user != "":
		req.Grant = tokenboundary.Exchange
		req.Subject = k.person(claims.text("sub"), claims.text("iss"), oktaSession(about.object("session")))
	case grant == "" || grant == exchange.GrantClientCredentials:
		req.Grant = tokenboundary.ClientCredentials
	default:
		req = refused(req, tokenboundary.CodeUnauthorizedClient)
	}
	same, kind := claims.text("cid"), o.text("eventType")
	if err := o.check(); err != nil {
		return Call{}, err
	}
	switch {
	case kind != "com.okta.oauth2.tokens.transform":
		return Call{}, errors.New("eventType is not that of a token hook")
	case client == "" || same != "" && same != client:
		return Call{}, errors.New("client.id is missing, or there are two")
	}
	return Call{Request: req, Answer: func(d tokenboundary.Decision) Answer { return k.answer(d, claims.members) }}, nil
}

// oktaSession reads when and how the user has authenticated.
func oktaSession(s object) lineage.Session {
	at := s.moment("lastPasswordVerification")
	if at.IsZero() {
		at = s.moment("createdAt")
	}
	return lineage.Session{ID: s.text("id"), AuthTime: at, AMR: s.texts("amr")}
}

// names returns the names of the members, in order.
func names(members map[string]json.RawMessage) []string {
	var out []string
	for name := range members {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// oktaPatch is one operation on a token. An add of what is there fails, and with it the whole patch.
type oktaPatch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func (k Okta) answer(d tokenboundary.Decision, claims map[string]json.RawMessage) Answer {
	if d.Effect != tokenboundary.Allow {
		return oktaError("refused: " + string(d.Code))
	}
	patch := []oktaPatch{{"replace", "/token/lifetime/expiration", int64(k.lifetime() / time.Second)}}
	ours := claimsOf(d)
	for _, name := range []string{ClaimDecision, ClaimFamily, ClaimTask} {
		_, there := claims[name]
		value := ours[name]
		switch {
		case value != "" && there:
			patch = append(patch, oktaPatch{"replace", "/claims/" + name, value})
		case value != "":
			patch = append(patch, oktaPatch{"add", "/claims/" + name, value})
		case there: // somebody else's
			patch = append(patch, oktaPatch{"replace", "/claims/" + name, ""})
		}
	}
	type command struct {
		Type  string      `json:"type"`
		Value []oktaPatch `json:"value"`
	}
	return Answer{http.StatusOK, map[string]any{"commands": []command{{"com.okta.access.patch", patch}}}}
}

// Fail implements Codec. The answer is an error object of status 200, whatever has happened: that is what Okta documents as
// a refusal, and what it makes of another status is not said.
func (k Okta) Fail(e *exchange.Error) Answer { return oktaError("not decided: " + e.Code) }

// oktaError denies the token. The client sees server_error, with the summary.
func oktaError(summary string) Answer {
	return Answer{http.StatusOK, map[string]any{"error": map[string]string{"errorSummary": summary}}}
}

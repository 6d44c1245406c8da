package gate

import (
	"errors"
	"net/http"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Codec is the JSON by which one kind of server asks. Hydra, Okta, Auth0 and Generic are codecs. It is called
// concurrently.
type Codec interface {
	// Decode returns what the body of a call asks for. The body is one JSON object of at most 1 MiB in which no member
	// repeats. An error means that the call has no meaning; what names a client, and asks for what cannot be granted, has
	// one (Request.Malformed), so that the refusal is recorded.
	Decode(body []byte) (Call, error)
	// Fail is the answer where nothing was decided. The server must not take it for a permission.
	Fail(e *exchange.Error) Answer
}

// Call is one call of a server.
type Call struct {
	// Request is what it asks for. Whom the server has authenticated is Verified in it, and Enforce is what the server can
	// enforce.
	Request tokenboundary.Request
	// Answer returns what the server is told of the decision. It is not called for a Recording.
	Answer func(tokenboundary.Decision) Answer
	// Recording says, where it is set, that the server has minted a token for an earlier decision. Request is then not
	// looked at.
	Recording *Recording
}

// Recording is the second call of a server that can make one.
type Recording struct {
	Decision tokenboundary.Decision
	// Handle is the server's own name for the token that it has minted.
	Handle string
	// Done is the answer where the token is recorded, and may leave.
	Done Answer
}

// Answer is what a server is answered: a status, and what becomes JSON. Without a Body, there is none.
type Answer struct {
	Status int
	Body   any
}

// Host is what a codec must be told of the server, because its calls do not say it.
type Host struct {
	// Lifetime is how long the server's access tokens live. A token that policy would let live for less is refused, since
	// the server would not shorten it.
	Lifetime time.Duration
	// Connection is that of every request. Empty: the only one that the client has.
	Connection string
	// Resource is asked for by a request that names no audience. Empty: such a request is refused.
	Resource []string
	// SubjectPrefix comes before the names of the server's users, so that they are never those of another identity
	// provider.
	SubjectPrefix string
}

// The claims that a hook puts into a token: the decision that it was minted for, the refresh family and the task that it
// belongs to.
const (
	ClaimDecision = "tb_decision"
	ClaimFamily   = "tb_family"
	ClaimTask     = "tb_task"
)

// claimsOf returns the claims that a token minted for the decision carries.
func claimsOf(d tokenboundary.Decision) map[string]string {
	out := map[string]string{ClaimDecision: d.ID.String()}
	if !d.Family.IsZero() {
		out[ClaimFamily] = d.Family.String()
	}
	if !d.TaskID.IsZero() {
		out[ClaimTask] = d.TaskID.String()
	}
	return out
}

// verified returns the credential of somebody whom the server has authenticated.
func verified(kind, id string) tokenboundary.Credential {
	return tokenboundary.Credential{Type: kind, Verified: &tokenboundary.Principal{Party: lineage.Party{ID: id}}}
}

// person returns the credential of a user whose authentication the server vouches for. Without a name it is nobody's, and
// is refused.
func (h Host) person(id, issuer string, s lineage.Session) tokenboundary.Credential {
	if id != "" {
		id = h.SubjectPrefix + id
	}
	s.Kind = "human"
	return tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Verified: &tokenboundary.Principal{
		Party: lineage.Party{ID: id, Issuer: issuer, Kind: "human"}, Session: s, Issued: s.AuthTime, Identity: true,
	}}
}

// renew makes the request one for a token of a refresh family. The zero id is no family, and is refused.
func renew(req *tokenboundary.Request, family lineage.ID) {
	req.Grant = tokenboundary.Refresh
	req.Subject = verified(tokenboundary.TypeRefreshToken, "refresh token")
	req.Subject.Verified.Lineage = family
}

// within makes the request one for a token below another token of the same client, which it names by the id of its
// decision. That the token is also the actor's keeps it to the client's own: an id is no secret, and whoever may derive
// from the tokens of others must present them.
func within(req *tokenboundary.Request, token lineage.ID) {
	own := verified(tokenboundary.TypeAccessToken, "token")
	own.Verified.Lineage = token
	req.Grant, req.Subject, req.Actor = tokenboundary.Exchange, own, own
}

// refused makes the request one that is refused with the code, and recorded, once its client is known.
func refused(req tokenboundary.Request, code tokenboundary.Code) tokenboundary.Request {
	return tokenboundary.Request{Client: req.Client, Malformed: code, Enforce: req.Enforce}
}

// resources returns what the audience names or, where it names nothing, what is asked for by default.
func (h Host) resources(audience []string) []string {
	if len(audience) == 0 {
		return h.Resource
	}
	return audience
}

// needsLifetime refuses a Host that does not say how long tokens live.
func (h Host) needsLifetime() error {
	if h.Lifetime < time.Second {
		return errors.New("gate: Host.Lifetime must say how long the server's access tokens live")
	}
	return nil
}

// wireError is the answer of a codec whose server takes any status but success for a refusal.
func wireError(e *exchange.Error) Answer {
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return Answer{status, map[string]string{"error": e.Code, "error_description": e.Description}}
}

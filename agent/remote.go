package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Remote is a boundary behind its HTTP endpoints. Issuer and Auth are required.
type Remote struct {
	// Issuer is the URL below which the endpoints are: https, or http to a loopback address.
	Issuer string
	// Auth authenticates the agent's client.
	Auth exchange.Authenticator
	// HTTPClient is that of an exchange.Client.
	HTTPClient *http.Client
}

var _ Boundary = Remote{}

// Issue implements Boundary. It knows the grants of a session: client_credentials, exchange and refresh.
func (r Remote) Issue(ctx context.Context, req tokenboundary.Request) (Granted, error) {
	p := exchange.Params{
		Connection: req.Connection, Resource: req.Resource, Scopes: req.Scopes, Proof: req.Proof, Deferrable: req.Deferrable,
	}
	if req.Task != nil {
		details, err := taskDetails(*req.Task)
		if err != nil {
			return Granted{}, err
		}
		p.Details = details
	}
	c := r.client()
	var got exchange.Result
	var err error
	switch req.Grant {
	case tokenboundary.ClientCredentials:
		got, err = c.ClientCredentials(ctx, p)
	case tokenboundary.Exchange:
		p.Subject, p.Actor = req.Subject, req.Actor
		got, err = c.Exchange(ctx, p)
	case tokenboundary.Refresh:
		got, err = c.Refresh(ctx, req.Subject.Value, p)
	default:
		return Granted{}, errors.New("agent: no such grant at a Remote")
	}
	if err != nil {
		return Granted{}, err
	}
	return granted(got, !p.Proof.IsZero()), nil
}

// granted reads an answer. The client has seen to it that it is bound as was asked for.
func granted(r exchange.Result, bound bool) Granted {
	g := Granted{
		Access:    tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: r.Value()},
		ExpiresIn: r.ExpiresIn, Scopes: r.Scopes, Bound: bound, TaskExpiresIn: taskLife(r.Details),
	}
	g.TaskID, _ = lineage.ParseID(r.TaskID) // what is no id names no task
	if v := r.RefreshValue(); v != "" {
		g.Refresh = tokenboundary.Credential{Type: tokenboundary.TypeRefreshToken, Value: v}
	}
	return g
}

// verbs are the last segments of the paths that bring a task into a state.
var verbs = map[tokenboundary.TaskState]string{
	tokenboundary.TaskCompleted: "complete", tokenboundary.TaskSuspended: "suspend", tokenboundary.TaskActive: "resume",
}

// SetTask implements Boundary. A task can be completed, suspended and resumed.
func (r Remote) SetTask(ctx context.Context, id lineage.ID, to tokenboundary.TaskState) error {
	verb, known := verbs[to]
	if !known || id.IsZero() {
		return invalid("no such change of a task")
	}
	return r.client().Post(ctx, r.below("/tasks/"+id.String()+"/"+verb))
}

// TokenEndpoint implements Boundary.
func (r Remote) TokenEndpoint() string { return r.below("/token") }

func (r Remote) below(path string) string { return strings.TrimSuffix(r.Issuer, "/") + path }

func (r Remote) client() *exchange.Client {
	return &exchange.Client{Endpoint: r.TokenEndpoint(), Auth: r.Auth, HTTPClient: r.HTTPClient}
}

// taskDetails is the authorization_details parameter that asks for a task.
func taskDetails(t tokenboundary.TaskSpec) (json.RawMessage, error) {
	return json.Marshal([]any{struct {
		Type           string           `json:"type"`
		Purpose        string           `json:"purpose"`
		ExpiresIn      int64            `json:"expires_in,omitempty"`
		MaxDerivations *uint64          `json:"max_derivations,omitempty"`
		Context        json.RawMessage  `json:"context,omitempty"`
		Authority      []lineage.Access `json:"authority,omitempty"`
	}{"task", t.Purpose, int64(t.ExpiresIn / time.Second), t.MaxDerivations, t.Context, t.Authority}})
}

// taskLife returns how long a task that was started lasts, as the answer says it; zero where it says nothing usable.
func taskLife(details []json.RawMessage) time.Duration {
	for _, raw := range details {
		var entry struct {
			Type      string `json:"type"`
			ExpiresIn uint32 `json:"expires_in"`
		}
		if json.Unmarshal(raw, &entry) == nil && entry.Type == "task" {
			return time.Duration(entry.ExpiresIn) * time.Second
		}
	}
	return 0
}

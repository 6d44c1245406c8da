package agent

import (
	"context"
	"errors"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Local is a boundary in this process. What the agent is told of a refusal is what it would be told over HTTP. Both
// fields are required.
type Local struct {
	Governor *tokenboundary.Governor
	// Client returns the credential of the agent's client: a new one each time, where it is good only once.
	Client func(context.Context) (tokenboundary.Credential, error)
}

var _ Boundary = Local{}

// Issue implements Boundary.
func (l Local) Issue(ctx context.Context, req tokenboundary.Request) (Granted, error) {
	cred, err := l.credential(ctx)
	if err != nil {
		return Granted{}, err
	}
	req.Client = cred
	t, err := l.Governor.Issue(ctx, req)
	if err != nil {
		return Granted{}, exchange.AsError(err)
	}
	g := Granted{
		Access:    tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: t.Value()},
		ExpiresIn: t.ExpiresIn, Scopes: t.Scopes, TaskID: t.TaskID, Bound: t.Bound != "",
	}
	if r := t.RefreshValue(); r != "" {
		g.Refresh = tokenboundary.Credential{Type: tokenboundary.TypeRefreshToken, Value: r}
	}
	if t.Task != nil {
		g.TaskExpiresIn = t.Task.Deadline.Sub(t.IssuedAt)
	}
	return g, nil
}

// SetTask implements Boundary.
func (l Local) SetTask(ctx context.Context, id lineage.ID, to tokenboundary.TaskState) error {
	cred, err := l.credential(ctx)
	if err != nil {
		return err
	}
	by, err := l.Governor.Authenticate(ctx, cred)
	if err == nil {
		_, err = l.Governor.SetTask(ctx, by, id, to)
	}
	if err != nil {
		return exchange.AsError(err)
	}
	return nil
}

// TokenEndpoint implements Boundary. Nothing need answer there.
func (l Local) TokenEndpoint() string {
	if l.Governor == nil {
		return ""
	}
	return strings.TrimSuffix(l.Governor.Issuer(), "/") + "/token"
}

func (l Local) credential(ctx context.Context) (tokenboundary.Credential, error) {
	if l.Governor == nil || l.Client == nil {
		return tokenboundary.Credential{}, errors.New("agent: Local.Governor and Local.Client are required")
	}
	return l.Client(ctx)
}

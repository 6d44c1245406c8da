package gate

import (
	"encoding/json"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// genericDecision is what the server is told. Pending comes back as it is with the handle of the token.
type genericDecision struct {
	Allow     bool                    `json:"allow"`
	Decision  lineage.ID              `json:"decision,omitzero"`
	Error     tokenboundary.Code      `json:"error,omitempty"`
	Parameter string                  `json:"parameter,omitempty"`
	Scopes    []string                `json:"scopes,omitempty"`
	Resource  []string                `json:"resource,omitempty"`
	Details   []json.RawMessage       `json:"details,omitempty"`
	ExpiresAt int64                   `json:"expires_at,omitempty"`
	Subject   string                  `json:"subject,omitempty"`
	Actors    []string                `json:"actors,omitempty"`
	Family    lineage.ID              `json:"family,omitzero"`
	Task      lineage.ID              `json:"task,omitzero"`
	Pending   *tokenboundary.Decision `json:"pending,omitempty"`
}

func genericAnswer(d tokenboundary.Decision) Answer {
	if d.Effect != tokenboundary.Allow {
		return Answer{http.StatusOK, genericDecision{Decision: d.ID, Error: d.Code, Parameter: d.Parameter}}
	}
	out := genericDecision{
		Allow: true, Decision: d.ID, Scopes: d.Scopes(), Resource: d.Audience, Details: d.Granted.Details,
		ExpiresAt: d.ExpiresAt.Unix(), Subject: d.Subject.ID, Family: d.Family, Task: d.TaskID,
	}
	for _, a := range d.Actors {
		out.Actors = append(out.Actors, a.ID)
	}
	if d.Pending != nil {
		out.Pending = &tokenboundary.Decision{ID: d.ID, Effect: d.Effect, Pending: d.Pending}
	}
	return Answer{http.StatusOK, out}
}

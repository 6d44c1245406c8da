package main

import (
	"context"
	"fmt"
	"net/http"
)

// answers calls an API and expects a status.
func (s *story) answers(ctx context.Context, what string, a *api, route, token string, want int, why string) error {
	got, err := a.status(ctx, route, token)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case got != want:
		return differs(what, got, want)
	}
	s.ok(what, fmt.Sprintf("%-8s %-14s → %d  %s", a.self.id, route, got, why))
	return nil
}

// use presents tokens to the APIs.
func (s *story) use(ctx context.Context) error {
	for _, u := range []struct {
		what  string
		api   *api
		route string
		token string
		want  int
		why   string
	}{
		{"the tool's token", s.crm, "GET /cases", s.lookUp.Value(), http.StatusOK, "its resource, its scope"},
		{"the tool's token", s.crm, "GET /contacts", s.lookUp.Value(), http.StatusForbidden, "a scope it does not hold"},
		{"the researcher's token", s.crm, "GET /contacts", s.research.Value(), http.StatusOK, "one hop up it was held"},
		{"the researcher's token", s.crm, "POST /cases", s.research.Value(), http.StatusForbidden, "it may only read"},
		{"the researcher's token", s.mail, "POST /messages", s.research.Value(), http.StatusUnauthorized, "a token for another API"},
		{"the mail token", s.mail, "POST /messages", s.answer.Value(), http.StatusOK, "its resource, its scope"},
		{"the mail token", s.crm, "GET /cases", s.answer.Value(), http.StatusUnauthorized, "a token for another API"},
		{"the task token", s.crm, "GET /cases", s.triage.Value(), http.StatusUnauthorized, "a token for the boundary alone"},
		{"no token", s.crm, "GET /cases", "", http.StatusUnauthorized, ""},
	} {
		if err := s.answers(ctx, u.what, u.api, u.route, u.token, u.want, u.why); err != nil {
			return err
		}
	}
	return nil
}

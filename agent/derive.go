package agent

import (
	"context"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// derive asks for the token of a call.
func (s *Session) derive(ctx context.Context, c Call) (*oauth2.Token, names, error) {
	task, err := s.taskToken(ctx)
	if err != nil {
		return nil, names{}, err
	}
	g, asked, err := s.ask(ctx, "token for "+c.Resource, tokenboundary.Request{
		Grant: tokenboundary.Exchange, Subject: task, Connection: c.Connection, Resource: []string{c.Resource}, Scopes: c.Scopes,
	})
	if err != nil {
		return nil, names{}, err
	}
	n, err := s.accept(c, &g)
	if err != nil {
		return nil, names{}, err
	}
	t := &oauth2.Token{AccessToken: g.Access.Value, TokenType: exchange.TokenType(""), Expiry: asked.Add(g.ExpiresIn - margin(g.ExpiresIn, s.cfg.Early))}
	if g.Bound {
		t.TokenType = exchange.TokenType("bound")
	}
	if !s.ends.IsZero() && s.ends.Before(t.Expiry) {
		t.Expiry = s.ends
	}
	return t, n, nil
}

// margin is how long before its end a token of a life is no longer used.
func margin(life, early time.Duration) time.Duration { return min(early, life/4) }

// names is what is known of what a token came from: enough to tell whether a revocation may concern it.
type names struct {
	known   bool // it is a token that can be read
	ids     []string
	session string
}

// concerns reports whether sel may name a token: only what cannot is told.
func (n names) concerns(sel lineage.Selector) bool {
	if !n.known {
		return true
	}
	switch sel.Kind {
	case lineage.SelectToken, lineage.SelectTask, lineage.SelectGrant:
		return slices.Contains(n.ids, sel.Value)
	case lineage.SelectSession:
		return n.session == sel.Value
	}
	return true // it may be of something above the token
}

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// narrator prints what happened, and counts it.
type narrator struct {
	out      io.Writer
	chapters int
	steps    int
}

func (n *narrator) chapter(title string) {
	n.chapters++
	_, _ = fmt.Fprintf(n.out, "\n%d  %s\n", n.chapters, title)
}

// ok prints one step that went as expected, and more lines about it.
func (n *narrator) ok(what, line string, more ...string) {
	n.steps++
	_, _ = fmt.Fprintln(n.out, strings.TrimRight(fmt.Sprintf("   ✓ %-24s %s", what, line), " "))
	for _, m := range more {
		_, _ = fmt.Fprintf(n.out, "     %-24s %s\n", "", m)
	}
}

// differs is a step that did not go as expected.
func differs(what string, got, want any) error {
	return fmt.Errorf("%s: got %+v, expected %+v", what, got, want)
}

// content is what a token says, for people.
type content struct {
	subject, actors, audience, scopes string
	life                              time.Duration
}

// holds checks what a token of the boundary says and prints it. The token itself is never printed.
func (n *narrator) holds(what string, token exchange.Result, want content) error {
	c, err := claimsOf(token.Value())
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	got := content{
		c.Subject, chain(c.Act), strings.Join(c.Audience, " "), c.Scope,
		time.Duration(c.ExpiresAt-c.IssuedAt) * time.Second,
	}
	if got != want {
		return differs(what, got, want)
	}
	if got.scopes == "" {
		got.scopes = "none: it is good for deriving only"
	}
	n.ok(what, fmt.Sprintf("sub %s   act %s", got.subject, got.actors),
		fmt.Sprintf("aud %s   scope %s   lives %s", got.audience, got.scopes, short(got.life)))
	return nil
}

// chain renders an act claim: who acts now, and before it those who handed the authority on.
func chain(a *tokenboundary.Act) string {
	var names []string
	for ; a != nil; a = a.Act {
		names = append(names, a.Subject)
	}
	return strings.Join(names, " ← ")
}

// claimsOf reads a token without verifying it, as its holder may; who relies on a token verifies it.
func claimsOf(token string) (tokenboundary.Claims, error) {
	var c tokenboundary.Claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("not a compact JWS")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, errors.New("payload is not base64url")
	}
	return c, json.Unmarshal(payload, &c)
}

// short renders whole minutes and seconds.
func short(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

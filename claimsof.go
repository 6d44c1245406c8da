package tokenboundary

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// claimsOf returns the claims of the token that r stands behind.
func claimsOf(r lineage.Record) Claims {
	b := r.Body
	all := append(slices.Clip(r.Ancestors), r.ID())
	ids := lineage.Texts(all...)
	text := func(id lineage.ID) string { return ids[slices.Index(all, id)] } // of one that is among them
	n := len(r.Ancestors)
	c := Claims{
		Issuer: r.Issuer, Subject: b.Subject.ID, Audience: b.Audience,
		ExpiresAt: r.ExpiresAt.Unix(), IssuedAt: r.IssuedAt.Unix(), ID: ids[n],
		ClientID: b.Client, Scope: strings.Join(scopesOf(b), " "), Details: b.Granted.Details, Grant: text(r.Root()),
		SessionID: b.Session.ID, AuthTime: authTime(b), ACR: b.Session.ACR, AMR: b.Session.AMR,
		Recheck: seconds(b.Recheck), Key: b.Key,
	}
	if n > 0 {
		c.Lineage = ids[:n:n]
	}
	if b.Bound != "" {
		c.Confirm = &Confirm{b.Bound}
	}
	for _, a := range slices.Backward(b.Actors) {
		c.Act = &Act{a.ID, a.Issuer, c.Act}
	}
	if b.Task != nil {
		c.Task = &TaskClaim{text(r.TaskID()), b.Task.Purpose}
	}
	return c
}

// scopesOf returns the scopes of a token, which is for one resource.
func scopesOf(b *lineage.Body) []string {
	if len(b.Granted.Access) == 0 {
		return nil
	}
	return b.Granted.Access[0].Scopes
}

// authTime returns the auth_time of a token; zero where it is not known.
func authTime(b *lineage.Body) int64 {
	if b.Session.AuthTime.IsZero() {
		return 0
	}
	return b.Session.AuthTime.Unix()
}

// seconds returns d in seconds, rounded up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// matches reports whether c are exactly the claims that r's token was minted with: those of claimsOf, compared without
// making them.
func (c Claims) matches(r lineage.Record) bool {
	b := r.Body
	if b == nil || r.Kind != lineage.KindToken || c.Key == "" || c.Key != b.Key {
		return false
	}
	bound := ""
	if c.Confirm != nil {
		bound = c.Confirm.Thumbprint
	}
	return c.Issuer == r.Issuer && c.Subject == b.Subject.ID && slices.Equal(c.Audience, b.Audience) &&
		c.ExpiresAt == r.ExpiresAt.Unix() && c.IssuedAt == r.IssuedAt.Unix() && r.ID().Is(c.ID) && c.ClientID == b.Client &&
		isJoined(c.Scope, scopesOf(b)) && c.Act.is(b.Actors) && slices.EqualFunc(c.Details, b.Granted.Details, sameJSON) &&
		r.Root().Is(c.Grant) && slices.EqualFunc(r.Ancestors, c.Lineage, lineage.ID.Is) && c.Task.is(r) &&
		c.SessionID == b.Session.ID && c.AuthTime == authTime(b) && c.ACR == b.Session.ACR && slices.Equal(c.AMR, b.Session.AMR) &&
		bound == b.Bound && (c.Confirm == nil) == (b.Bound == "") && c.Recheck == seconds(b.Recheck)
}

// sameJSON reports whether raw says what canonical does: a Minter may spell it in its own way.
func sameJSON(raw, canonical json.RawMessage) bool {
	if bytes.Equal(raw, canonical) {
		return true
	}
	own, err := canon.JSON(raw)
	return err == nil && bytes.Equal(own, canonical)
}

// is reports whether a is the chain, the current actor first.
func (a *Act) is(chain []lineage.Party) bool {
	for _, p := range chain {
		if a == nil || a.Subject != p.ID || a.Issuer != p.Issuer {
			return false
		}
		a = a.Act
	}
	return a == nil
}

// is reports whether t is what a token of r says of its task.
func (t *TaskClaim) is(r lineage.Record) bool {
	if t == nil || r.Body.Task == nil {
		return t == nil && r.Body.Task == nil
	}
	return r.TaskID().Is(t.ID) && t.Purpose == r.Body.Task.Purpose
}

// isJoined reports whether s is the list with single spaces in between.
func isJoined(s string, list []string) bool {
	ok := true
	for i, part := range list {
		if i > 0 {
			s, ok = strings.CutPrefix(s, " ")
		}
		if ok {
			s, ok = strings.CutPrefix(s, part)
		}
		if !ok {
			return false
		}
	}
	return s == ""
}

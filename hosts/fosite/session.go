package fosite

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/token/jwt"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// The claims that a session keeps of a decision, beside sub, aud, scope and exp, which fosite has places for. They are those
// of a token that the boundary mints.
const (
	claimID      = "jti" // the decision
	claimClient  = "client_id"
	claimRoot    = "txn"
	claimLineage = "lin" // the ancestors, root first
	claimActor   = "act"
	claimTask    = "task"
	claimDetails = "authorization_details"
)

// reserved are the claims that only a decision makes.
var reserved = []string{claimID, claimClient, claimRoot, claimLineage, claimActor, claimTask, claimDetails, "sub", "cnf", "may_act"}

// extra returns the extra claims of a session, live, and the JWT's claims where it has them; ok is false where it has
// neither.
func extra(s fosite.Session) (claims map[string]any, own *jwt.JWTClaims, ok bool) {
	if c, is := s.(oauth2.JWTSessionContainer); is { // whose GetExtraClaims is a copy
		if own, ok = c.GetJWTClaims().(*jwt.JWTClaims); !ok || own == nil {
			return nil, nil, false
		}
		return own.Extra, own, true
	}
	if c, is := s.(fosite.ExtraClaimsSession); is {
		claims = c.GetExtraClaims()
		return claims, nil, claims != nil
	}
	return nil, nil, false
}

// keep makes a session say what was decided. All of it survives a round trip through JSON.
func keep(s fosite.Session, r fosite.Requester, d tb.Decision) error {
	named, is := s.(interface{ SetSubject(string) })
	claims, own, ok := extra(s)
	record := d.Token()
	if !is || !ok || record.Body == nil {
		return fmt.Errorf("tokenboundary: a session of type %T cannot keep a decision", s)
	}
	if claims == nil {
		own.Extra = map[string]any{}
		claims = own.Extra
	}
	for _, name := range reserved {
		delete(claims, name)
	}
	named.SetSubject(d.Subject.ID)
	if err := write(claims, d, record); err != nil {
		return err
	}
	if own != nil {
		own.JTI, own.Subject = d.ID.String(), d.Subject.ID
		own.IssuedAt = r.GetRequestedAt() // of a session that is refreshed, fosite keeps the first one
	} else {
		claims[claimID] = d.ID.String()
	}
	if idOf(s) != d.ID {
		return fmt.Errorf("tokenboundary: a session of type %T does not keep extra claims", s)
	}
	return nil
}

// write writes the claims of a decision that fosite has no place for.
func write(claims map[string]any, d tb.Decision, record lineage.Record) error {
	claims[claimClient], claims[claimRoot] = d.Client, record.Root().String()
	if len(record.Ancestors) > 0 {
		claims[claimLineage] = lineage.Texts(record.Ancestors...)
	}
	if act := actOf(d.Actors); act != nil {
		claims[claimActor] = act
	}
	if t := record.Body.Task; t != nil {
		claims[claimTask] = map[string]any{"id": record.TaskID().String(), "purpose": t.Purpose}
	}
	var details []any
	for _, raw := range d.Granted.Details {
		one, err := plain(raw)
		if err != nil {
			return err
		}
		details = append(details, one)
	}
	if details != nil {
		claims[claimDetails] = details
	}
	return nil
}

// plain returns an entry of authorization_details as a session can keep it. A number in it that is not the same when it was
// kept, in memory or as JSON, is refused: it could be an amount.
func plain(raw json.RawMessage) (any, error) {
	var text, kept any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&text) != nil || json.Unmarshal(raw, &kept) != nil || !exact(text) {
		return nil, &exchange.Error{Code: string(tb.CodeInvalidDetails), Description: "authorization_details was refused"}
	}
	return kept, nil
}

// exact reports whether every number in a value is written as a float64 of that value is.
func exact(v any) bool {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		again, bad := json.Marshal(f)
		return err == nil && bad == nil && string(again) == v.String()
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !exact(e) })
	case map[string]any:
		for _, e := range v {
			if !exact(e) {
				return false
			}
		}
	}
	return true
}

// actOf returns the act claim of a chain, the current actor outermost (RFC 8693, section 4.1).
func actOf(chain []lineage.Party) map[string]any {
	var act map[string]any
	for _, a := range slices.Backward(chain) {
		outer := map[string]any{"sub": a.ID}
		if a.Issuer != "" {
			outer["iss"] = a.Issuer
		}
		if act != nil {
			outer["act"] = act
		}
		act = outer
	}
	return act
}

// idOf returns the decision behind a session; zero where there is none.
func idOf(s fosite.Session) lineage.ID {
	claims, own, _ := extra(s)
	text, _ := claims[claimID].(string)
	if own != nil {
		text = own.JTI
	}
	id, _ := lineage.ParseID(text)
	return id
}

// parentOf returns the record that the token of a session stands directly below; zero where there is none. It is the refresh
// family of one that came with a refresh token.
func parentOf(s fosite.Session) lineage.ID {
	claims, _, _ := extra(s)
	var last string
	switch list := claims[claimLineage].(type) {
	case []string:
		if len(list) > 0 {
			last = list[len(list)-1]
		}
	case []any: // it went through JSON
		if len(list) > 0 {
			last, _ = list[len(list)-1].(string)
		}
	}
	id, _ := lineage.ParseID(last)
	return id
}

// saysDecided reports whether a token says that a decision of a boundary stands behind it. What it says is not verified.
func saysDecided(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var claims map[string]json.RawMessage
	var id string
	if json.Unmarshal(payload, &claims) != nil || json.Unmarshal(claims[claimID], &id) != nil || claims[claimRoot] == nil {
		return false
	}
	_, err = lineage.ParseID(id)
	return err == nil
}

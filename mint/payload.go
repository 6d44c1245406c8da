package mint

import (
	"encoding/json"
	"strconv"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// readClaims reads what Claims.AppendJSON writes, in one pass. It reports whether it is that, and not what is wrong.
func readClaims(payload []byte) (c tokenboundary.Claims, ok bool) {
	r := canon.NewReader(string(payload))
	c.Issuer = text(r, `{"iss":`)
	c.Subject = text(r, `,"sub":`)
	r.Want(`,"aud":`)
	c.Audience = audience(r)
	c.ExpiresAt = number(r, `,"exp":`)
	c.IssuedAt = number(r, `,"iat":`)
	c.ID = text(r, `,"jti":`)
	c.ClientID = text(r, `,"client_id":`)
	c.Scope = optional(r, `,"scope":`)
	c.Act = act(r, `,"act":`)
	c.Details = list(r, `,"authorization_details":`, func() json.RawMessage { return r.Value() })
	c.Grant = text(r, `,"txn":`)
	c.Lineage = list(r, `,"lin":`, r.Written)
	if r.Take(`,"task":{"id":`) {
		c.Task = &tokenboundary.TaskClaim{ID: r.Written(), Purpose: text(r, `,"purpose":`)}
		r.Want("}")
	}
	c.SessionID = optional(r, `,"sid":`)
	c.AuthTime = optionalNumber(r, `,"auth_time":`)
	c.ACR = optional(r, `,"acr":`)
	c.AMR = list(r, `,"amr":`, r.Written)
	if r.Take(`,"cnf":{"jkt":`) {
		c.Confirm = &tokenboundary.Confirm{Thumbprint: r.Written()}
		r.Want("}")
	}
	c.Recheck = optionalNumber(r, `,"recheck":`)
	r.Want("}")
	return c, r.Done()
}

func text(r *canon.Reader, name string) string {
	r.Want(name)
	return r.Written()
}

func optional(r *canon.Reader, name string) string {
	if !r.Take(name) {
		return ""
	}
	return r.Written()
}

func number(r *canon.Reader, name string) int64 {
	r.Want(name)
	n, err := strconv.ParseInt(r.Number(), 10, 64)
	if err != nil {
		r.Fail(err)
	}
	return n
}

func optionalNumber(r *canon.Reader, name string) int64 {
	if !r.Take(name) {
		return 0
	}
	return number(r, "")
}

func audience(r *canon.Reader) tokenboundary.Audience {
	if several := list(r, "", r.Written); several != nil {
		return several
	}
	return tokenboundary.Audience{r.Written()}
}

// list reads a list that is not empty, if it comes next.
func list[T any](r *canon.Reader, name string, element func() T) (out []T) {
	if !r.Take(name + "[") {
		return nil
	}
	for more := true; more; more = r.Take(",") {
		out = append(out, element())
	}
	r.Want("]")
	return out
}

// act reads a chain, the current actor outermost, if it comes next.
func act(r *canon.Reader, name string) *tokenboundary.Act {
	if !r.Take(name + `{"sub":`) {
		return nil
	}
	a := &tokenboundary.Act{Subject: r.Written()}
	a.Issuer = optional(r, `,"iss":`)
	a.Act = act(r, `,"act":`)
	r.Want("}")
	return a
}

package exchange

import (
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Deferral is how a deferred request is polled (draft-ietf-oauth-deferred-token-response).
type Deferral struct {
	// Code is what to poll with; it hides itself. The answer to a poll does not repeat it.
	Code tokenboundary.Credential
	// ExpiresIn is how long the request waits at most, Interval how long to wait between polls. Zero where the answer
	// does not say; the interval is then five seconds, and after slow_down five more (RFC 8628, section 3.5).
	ExpiresIn, Interval time.Duration
}

// waits reports whether a refusal is none yet: it asks to poll.
func waits(code string) bool {
	return code == string(tokenboundary.CodeAuthorizationPending) || code == string(tokenboundary.CodeSlowDown)
}

// told returns what a client is told of a deferral. A poll is told only how often to come.
func told(d *tokenboundary.Deferral) *Deferral {
	switch {
	case d == nil:
		return nil
	case d.Value() == "":
		return &Deferral{Interval: d.Interval}
	}
	code := tokenboundary.Credential{Type: tokenboundary.TypeDeferralCode, Value: d.Value()}
	return &Deferral{Code: code, ExpiresIn: d.ExpiresIn, Interval: d.Interval}
}

// deferral returns what an answer says of a request that waits, nil where that is nothing.
func deferral(members canon.Members) *Deferral {
	var d Deferral
	if code, _ := canon.Text(members.Get("deferral_code")); usable(code) {
		d.Code = tokenboundary.Credential{Type: tokenboundary.TypeDeferralCode, Value: code}
	}
	d.ExpiresIn, d.Interval = seconds(members.Get("expires_in")), seconds(members.Get("interval"))
	if d == (Deferral{}) {
		return nil
	}
	return &d
}

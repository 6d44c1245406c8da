package verify

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// leeway is by how much the clock of whoever authenticated the user may be ahead, as mint.Verifier has it.
const leeway = 5 * time.Second

// StepUp is what a resource requires of the authentication of the user behind a token (RFC 9470). With both fields set,
// both are required. The zero value requires nothing that could be met or asked for, and Check refuses every token.
type StepUp struct {
	// ACR are authentication context classes, the preferred first; any one of them is enough.
	ACR []string
	// MaxAge is how long ago the user may have authenticated, in whole seconds; zero is any time.
	MaxAge time.Duration
}

var errStepUp = errors.New("verify: StepUp requires nothing, or what no challenge can say")

// Check returns nil if the authentication that claims tell of is one of s.ACR and not older than s.MaxAge at now. The
// claims must be those of a token that is verified already.
//
// Claims that say nothing of an authentication do not meet s; an auth_time that is still to come is none. The error is
// then an *InsufficientAuthenticationError. Any other error means that s itself cannot be used, and no token meets it.
func (s StepUp) Check(claims tokenboundary.Claims, now time.Time) error {
	if !s.usable() {
		return errStepUp
	}
	why := ""
	switch {
	case len(s.ACR) > 0 && !slices.Contains(s.ACR, claims.ACR):
		why = "A different authentication level is required"
	case s.MaxAge > 0 && !recent(claims.AuthTime, s.MaxAge, now):
		why = "More recent authentication is required"
	default:
		return nil
	}
	s.ACR = slices.Clone(s.ACR)
	return &InsufficientAuthenticationError{required: s, why: why, bound: claims.Confirm != nil}
}

// usable reports whether s requires something, and only what a challenge can say: each class is a token of the
// characters that need no escape in a header (RFC 6749, appendix A.4).
func (s StepUp) usable() bool {
	for _, acr := range s.ACR {
		if acr == "" || strings.ContainsFunc(acr, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return false
		}
	}
	return (len(s.ACR) > 0 || s.MaxAge > 0) && s.MaxAge%time.Second == 0 && s.MaxAge >= 0
}

// recent reports whether an auth_time is not older than maxAge.
func recent(authTime int64, maxAge time.Duration, now time.Time) bool {
	at := time.Unix(authTime, 0)
	return authTime > 0 && !at.After(now.Add(leeway)) && !now.After(at.Add(maxAge))
}

// InsufficientAuthenticationError means that a token is good and the authentication behind it does not suffice here. The
// answer is 401 with its challenge, and a client that understands it has the user authenticate again.
type InsufficientAuthenticationError struct {
	required StepUp
	why      string
	bound    bool
}

// Error implements error.
func (e *InsufficientAuthenticationError) Error() string { return "verify: " + e.why }

// Challenge returns the value of the WWW-Authenticate header field (RFC 9470, section 3). Its scheme is the one that the
// token was to be used with: DPoP for one that is bound to a key (RFC 9449, section 7.1), otherwise Bearer.
func (e *InsufficientAuthenticationError) Challenge() string {
	scheme := "Bearer"
	if e.bound {
		scheme = "DPoP"
	}
	out := scheme + ` error="insufficient_user_authentication", error_description="` + e.why + `"`
	if len(e.required.ACR) > 0 {
		out += `, acr_values="` + strings.Join(e.required.ACR, " ") + `"`
	}
	if e.required.MaxAge > 0 {
		out += `, max_age="` + strconv.FormatInt(int64(e.required.MaxAge/time.Second), 10) + `"`
	}
	return out
}

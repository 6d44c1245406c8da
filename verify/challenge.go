package verify

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// refusal is an answer to a request that is not let through (RFC 6750, section 3).
type refusal struct {
	status int
	code   string // empty where the request presented nothing
	why    string
	dpop   bool // what is wrong has to do with the scheme DPoP
	ready  string
}

// refused returns the answer that an error stands for.
func refused(err error, p presented) refusal {
	r := refusal{http.StatusUnauthorized, "invalid_token", "The access token is not acceptable", p.proof != nil, ""}
	var insufficient *InsufficientAuthenticationError
	switch {
	case errors.Is(err, tokenboundary.ErrUnavailable):
		r.status, r.code, r.why = http.StatusServiceUnavailable, "temporarily_unavailable", "The access token cannot be checked now"
	case errors.As(err, &insufficient):
		r.code, r.why, r.ready = "insufficient_user_authentication", insufficient.why, insufficient.Challenge()
	case errors.Is(err, errStepUp):
		r.status, r.code, r.why = http.StatusForbidden, "insufficient_scope", "The resource cannot be accessed"
	case errors.Is(err, errNone):
		r.code, r.why = "", ""
	case errors.Is(err, errMalformed):
		r.status, r.code, r.why = http.StatusBadRequest, "invalid_request", "The Authorization header is malformed"
	case errors.Is(err, errScope):
		r.status, r.code, r.why = http.StatusForbidden, "insufficient_scope", "The access token lacks a scope"
	case errors.Is(err, ErrProof), errors.Is(err, errProofs):
		r.code, r.why, r.dpop = "invalid_dpop_proof", "The proof of possession is not acceptable", true
	case errors.Is(err, ErrBinding):
		r.why, r.dpop = "The access token was presented under the wrong scheme", true
	}
	return r
}

// write answers the request. The scopes are those that the route requires.
func (v *Verifier) write(w http.ResponseWriter, r refusal, err error, scopes []string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if r.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.FormatInt(retryAfter(err), 10))
	} else {
		h["Www-Authenticate"] = v.challenges(r, scopes)
	}
	if r.code == "" {
		w.WriteHeader(r.status)
		return
	}
	body, _ := json.Marshal(map[string]string{"error": r.code, "error_description": r.why}) // texts of ours
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(r.status)
	_, _ = w.Write(body) // the client is gone if this fails
}

// retryAfter returns in how many seconds to try again.
func retryAfter(err error) int64 {
	var u *tokenboundary.UnavailableError
	if errors.As(err, &u) && u.RetryAfter > time.Second {
		return int64(math.Ceil(u.RetryAfter.Seconds()))
	}
	return 1
}

// challenges returns the values of WWW-Authenticate: one for each scheme by which the request could have been good. What
// was wrong stands in the one that the client used.
func (v *Verifier) challenges(r refusal, scopes []string) []string {
	var common []string
	if r.status == http.StatusUnauthorized && r.code == "" || r.code == "insufficient_scope" {
		if scope := strings.Join(scopes, " "); scope != "" && quotable(scopes...) {
			common = append(common, `scope="`+scope+`"`)
		}
	}
	common = append(common, `resource_metadata="`+v.MetadataURL()+`"`) // RFC 9728, section 5.1
	if r.ready != "" {
		return []string{r.ready + ", " + common[len(common)-1]}
	}
	var wrong []string
	if r.code != "" {
		wrong = []string{`error="` + r.code + `"`, `error_description="` + r.why + `"`}
	}
	bearer := "Bearer " + strings.Join(append(wrong[:len(wrong):len(wrong)], common...), ", ")
	if v.cfg.Proofs == nil {
		return []string{bearer}
	}
	if len(v.cfg.ProofAlgs) > 0 { // RFC 9449, section 7.1
		common = append(common, `algs="`+strings.Join(v.cfg.ProofAlgs, " ")+`"`)
	}
	dpop := "DPoP " + strings.Join(append(wrong, common...), ", ")
	switch {
	case r.code == "":
		return []string{bearer, dpop}
	case r.dpop:
		return []string{dpop}
	}
	return []string{bearer}
}

// quotable reports whether each text can stand between quotes in a header, and among others with spaces between them.
func quotable(texts ...string) bool {
	for _, s := range texts {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return false
		}
	}
	return true
}

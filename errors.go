package tokenboundary

import (
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var (
	// ErrNotMine must be wrapped by an IdentitySource or a Minter that does not recognise a credential, so that the
	// next source is tried. Any other error refuses the credential.
	ErrNotMine = errors.New("tokenboundary: credential not recognised by this source")
	// ErrUnauthenticated means that the client could not be authenticated. It is not recorded.
	ErrUnauthenticated = errors.New("tokenboundary: client authentication failed")
	// ErrForbidden means that an authenticated client is not of the kind that may do this, or is blocked. It is not
	// recorded.
	ErrForbidden = errors.New("tokenboundary: not permitted for this client")
	// ErrDenied is matched by a DeniedError.
	ErrDenied = errors.New("tokenboundary: denied")
	// ErrInvalid means that the caller's argument can never be accepted.
	ErrInvalid = errors.New("tokenboundary: invalid argument")
	// ErrNotFound means that there is no such thing, or none that this client may see.
	ErrNotFound = errors.New("tokenboundary: not found")
	// ErrConflict means that the state has changed and what was asked for no longer fits it.
	ErrConflict = errors.New("tokenboundary: conflict")
	// ErrGone means that a position in the revocation feed is no longer, or not yet, in the feed.
	ErrGone = errors.New("tokenboundary: feed position is gone")
	// ErrUnavailable means that the boundary cannot decide now: the store, the policy, the signer or the clock
	// failed. No token was released. It is safe to try again.
	ErrUnavailable = errors.New("tokenboundary: unavailable")
)

// DeniedError is a refusal by Issue, SetTask or Retire, or the answer that a request has to wait. The decision says why;
// none of it but Code, Parameter and Deferral is for the OAuth client.
type DeniedError struct{ Decision Decision }

// Error implements error. It names the code only.
func (e *DeniedError) Error() string { return "tokenboundary: denied: " + string(e.Decision.Code) }

// Is makes a DeniedError match ErrDenied.
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// UnavailableError is an ErrUnavailable that says when to try again.
type UnavailableError struct {
	RetryAfter time.Duration
	Err        error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%s: %s", ErrUnavailable, e.Err)
}

// Is makes an UnavailableError match ErrUnavailable.
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

func unavailable(what string, err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return &UnavailableError{time.Second, fmt.Errorf("%s: %w", what, err)}
}

// Code is an OAuth error code (RFC 6749, section 5.2, and its extensions).
type Code string

// The codes of a refusal.
const (
	CodeInvalidRequest     Code = "invalid_request"
	CodeInvalidGrant       Code = "invalid_grant"
	CodeInvalidScope       Code = "invalid_scope"
	CodeInvalidTarget      Code = "invalid_target"                // RFC 8707, section 2
	CodeInvalidDetails     Code = "invalid_authorization_details" // RFC 9396, section 5
	CodeUnauthorizedClient Code = "unauthorized_client"
	CodeInvalidProof       Code = "invalid_dpop_proof" // RFC 9449, section 5

	// Of a request that waits for somebody, and of its polls (draft-ietf-oauth-deferred-token-response).
	CodeAuthorizationPending Code = "authorization_pending"
	CodeSlowDown             Code = "slow_down"
	CodeAccessDenied         Code = "access_denied"
	CodeExpiredToken         Code = "expired_token"
)

// refusal is a step of the pipeline saying no to an authenticated caller. It becomes a recorded denial.
type refusal struct {
	code  Code
	param string // the request parameter to name to the client; may be empty
	why   string // for the operator
	// effect is what the refusal changes: it is written with the record, or nothing is answered.
	effect effect
	// again says that nothing is refused for good: the client polls, and no record is made. It is told how long to wait.
	again *Deferral
}

// effect is a part of a Tx.
type effect struct {
	Swaps       []store.Swap
	Revocations []lineage.Revocation
}

// unacceptable refuses what the client presented, by the code that its grant has for it.
func (h *hop) unacceptable(why string) error {
	switch h.req.Grant {
	case Refresh:
		return refuse(CodeInvalidGrant, "refresh_token", why)
	case Deferred:
		return refuse(CodeInvalidGrant, "deferral_code", why)
	case Exchange:
		return refuse(CodeInvalidRequest, "subject_token", why)
	case Leased:
		return refuse(CodeInvalidRequest, "token", why)
	}
	if h.client.proof != nil {
		return refuse(CodeInvalidRequest, "client_assertion", why)
	}
	return refuse(CodeInvalidRequest, "client_id", why)
}

func (r *refusal) Error() string { return string(r.code) + ": " + r.why }

func refuse(code Code, param, why string) error { return &refusal{code: code, param: param, why: why} }

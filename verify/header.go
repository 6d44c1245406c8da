package verify

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenboundary/tokenboundary"
)

// maxHeader bounds an Authorization header: no token of the boundary is longer than 8 KiB.
const maxHeader = 9 << 10

// The errors of a request that presents no token that could be looked at.
var (
	errNone      = errors.New("verify: no access token")                     // it presents nothing
	errMalformed = errors.New("verify: malformed or more than one")          // invalid_request (RFC 6750, section 3.1)
	errTooLong   = errors.New("verify: longer than any token")               // invalid_token
	errProofs    = errors.New("verify: no proof, or more than one, is sent") // invalid_dpop_proof
)

// presented is the access token of a request.
type presented struct {
	token string
	proof *tokenboundary.Credential // under the scheme DPoP
}

// present reads the access token of a request: from the Authorization header, and from nowhere else. One in the query is
// never accepted; beside one in the header it makes two (RFC 6750, section 2).
func present(r *http.Request) (p presented, err error) {
	headers := r.Header.Values("Authorization")
	switch {
	case len(headers) == 0:
		return p, errNone
	case len(headers) > 1, inQuery(r.URL):
		return p, errMalformed
	}
	scheme, token, err := credentials(headers[0])
	if err != nil {
		return p, err
	}
	p.token = token
	if scheme == "Bearer" {
		return p, nil
	}
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 || len(proofs[0]) > maxProof {
		return p, errProofs
	}
	p.proof = &tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Value: proofs[0], Method: r.Method}
	return p, nil
}

// credentials reads an Authorization header: the scheme, Bearer or DPoP in any case, and one token68 (RFC 9110, section
// 11.4). Any other scheme presents nothing that is known here.
func credentials(header string) (scheme, token string, err error) {
	scheme, rest, _ := strings.Cut(header[:min(len(header), maxHeader)], " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		scheme = "Bearer"
	case strings.EqualFold(scheme, "DPoP"):
		scheme = "DPoP"
	case strings.ContainsAny(scheme, ",\t"):
		return "", "", errMalformed
	default:
		return "", "", errNone
	}
	token = strings.TrimLeft(rest, " ")
	switch {
	case len(header) > maxHeader:
		return "", "", errTooLong
	case !isToken68(token):
		return "", "", errMalformed
	}
	return scheme, token, nil
}

func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	return body != "" && !strings.ContainsFunc(body, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	})
}

// inQuery reports whether the query has an access_token.
func inQuery(u *url.URL) bool {
	if u.RawQuery == "" {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	return query.Has("access_token") || err != nil && strings.Contains(u.RawQuery, "access_token")
}

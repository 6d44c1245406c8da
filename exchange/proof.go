package exchange

import (
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// headerProof is the name of the header, and what a refusal calls it.
const headerProof = "DPoP"

// Proof returns the proof of possession in the header of r (RFC 9449, section 4.1), the zero Credential where there is
// none. Endpoint is the URL under which clients know what answers r: what the request says of that is up to its sender.
//
// Whether the proof is good, the Governor says. An error is an *Error: there is more than one, or one without a value.
func Proof(r *http.Request, endpoint string) (tokenboundary.Credential, error) {
	values := r.Header.Values(headerProof)
	switch {
	case len(values) == 0:
		return tokenboundary.Credential{}, nil
	case len(values) > 1:
		return tokenboundary.Credential{}, badProof("must not repeat")
	case values[0] == "":
		return tokenboundary.Credential{}, badProof("is malformed")
	case len(values[0]) > canon.MaxToken:
		return tokenboundary.Credential{}, badProof("is too long")
	}
	return tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Value: values[0], Method: r.Method, URL: endpoint}, nil
}

func badProof(why string) *Error {
	return refuse(tokenboundary.CodeInvalidProof, about(headerProof, why))
}

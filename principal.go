package tokenboundary

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// The types of credential: token types of RFC 8693, section 3, and client authentication methods.
const (
	TypeAccessToken = "urn:ietf:params:oauth:token-type:access_token" // a token of this boundary
	TypeIDToken     = "urn:ietf:params:oauth:token-type:id_token"     // proof of an authentication elsewhere
	TypeJWT         = "urn:ietf:params:oauth:token-type:jwt"          // any other token of a trusted issuer

	TypeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token" // a refresh token of this boundary
	TypeDeferralCode = "deferral_code"                                  // what a deferred request is polled with

	TypeClientSecret    = "client_secret_basic" // RFC 6749, section 2.3.1
	TypeClientAssertion = "private_key_jwt"     // RFC 7523, section 2.2
	TypeDPoP            = "dpop"                // RFC 9449: a proof of possession of a key
)

// Credential is something presented as proof of identity or authority. The zero value presents nothing.
//
// It hides its value in logs, in JSON and in fmt.
type Credential struct {
	// Type is one of the Type constants, or a type that an IdentitySource of the host knows.
	Type string
	// ID is the client id that came with a client's credential; empty where only the credential names the client.
	ID string
	// Value is the credential itself.
	Value string
	// Method and URL are those of the HTTP request that a proof of possession came with.
	Method, URL string
	// Verified is set by a host that has verified the credential already; no source is then asked.
	Verified *Principal
}

// IsZero reports whether nothing was presented.
func (c Credential) IsZero() bool { return c.Type == "" && c.Value == "" && c.Verified == nil }

// String hides the credential.
func (c Credential) String() string { return "credential(" + c.Type + ")" }

// GoString hides the credential.
func (c Credential) GoString() string { return c.String() }

// LogValue hides the credential.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON hides the credential, also where it is part of something that is logged as JSON.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// Principal is what a verified credential says. The zero value is nobody.
type Principal struct {
	Party lineage.Party
	// Actors is the actor chain that the credential already carries (its act claim), the current actor first.
	Actors []lineage.Party
	// MayAct, where set, is the only party that may act for this one (RFC 8693, section 4.4). It restricts and never
	// grants.
	MayAct  *lineage.Party
	Session lineage.Session
	// Issued is when the credential was issued; zero where it does not say, which counts as older than everything.
	Issued time.Time
	// Expires is when it ends. What is made from a subject's credential ends with it, except from an ID token, which
	// proves a past authentication; any other without an end is refused. An actor's credential bounds nothing.
	Expires time.Time
	// Identity is true for proof of identity that carries no authority of its own (an ID token, an SVID): policy alone
	// then bounds what is granted.
	Identity bool
	// Authority is what the credential grants. Nil means unknown, never unlimited: without Identity, Lineage or Handle
	// such a credential is refused.
	Authority *lineage.Authority
	// Lineage and Handle name the record behind a token that a host minted for a decision of ours: by the decision's
	// id, or by the handle given to Governor.Record.
	Lineage lineage.ID
	Handle  string
	// Once is a single-use id (jti) of the credential. The Governor spends it.
	Once string
	// Key is the thumbprint (RFC 7638) of the key that the credential, of TypeDPoP, proves.
	Key string
}

// IdentitySource verifies foreign credentials.
//
// Identify must return an error wrapping ErrNotMine for a credential that is not of its kind or issuer; any other
// error refuses the credential. It must not write anywhere. It is called concurrently.
type IdentitySource interface {
	Identify(ctx context.Context, cred Credential) (Principal, error)
}

// IdentityFunc makes a function an IdentitySource.
type IdentityFunc func(context.Context, Credential) (Principal, error)

// Identify implements IdentitySource.
func (f IdentityFunc) Identify(ctx context.Context, c Credential) (Principal, error) {
	return f(ctx, c)
}

// identifies reports whether a credential of the type can say who somebody is.
func identifies(kind string) bool {
	return !slices.Contains([]string{TypeDPoP, TypeRefreshToken, TypeDeferralCode}, kind)
}

var partyKinds = []string{"human", "agent", "workload"}

// check refuses a principal that could not be recorded or compared.
func (p Principal) check() error {
	parties := append([]lineage.Party{p.Party}, p.Actors...)
	if p.MayAct != nil {
		parties = append(parties, *p.MayAct)
	}
	if len(parties) > canon.MaxChain+2 {
		return errors.New("principal with too long a chain")
	}
	for _, x := range parties {
		if canon.Name(x.ID) != nil || x.Issuer != "" && canon.Name(x.Issuer) != nil {
			return errors.New("principal without a usable name")
		}
	}
	s := p.Session
	for _, name := range append([]string{s.ID, s.ACR, p.Handle}, s.AMR...) {
		if name != "" && canon.Name(name) != nil {
			return errors.New("principal with an unusable session")
		}
	}
	if len(s.AMR) > canon.MaxChain {
		return errors.New("principal with too many authentication methods")
	}
	return nil
}

// onceProof returns the single-use evidence of p, if there is any.
func onceProof(p Principal) (*proof, error) {
	if p.Once == "" {
		return nil, nil
	}
	if p.Expires.IsZero() {
		return nil, errors.New("single-use credential without an end")
	}
	digest := sha256.Sum256([]byte(canon.Key(p.Party.Issuer, p.Party.ID, p.Once)))
	key := canon.Key("once", base64.RawURLEncoding.EncodeToString(digest[:]))
	return &proof{key: key, issued: p.Issued, expires: p.Expires}, nil
}

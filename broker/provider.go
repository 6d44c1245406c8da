package broker

import (
	"context"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// Provider makes and takes back the credentials of one connection: a vault, a database, an OAuth authorisation server. Its
// methods are called concurrently, each with a context that ends after Config.Timeout, and never from a request's context:
// what was begun is finished. Each returns soon after its context ends. Of an error only the
// kind is shown: tokenboundary.ErrDenied where the other system refused for good, tokenboundary.ErrUnavailable where trying again
// can help; and a PublicError.
type Provider interface {
	// Fetch makes or reads a credential for the lease: of no more than lease.Scopes say, and of no longer life than
	// lease.ExpiresAt, as far as the system can do that. The lease is in the book as an intent when it is called, and its
	// Handle is nil.
	//
	// It MUST be possible to take back what it has made by the lease alone, without Issued.Handle: the process may end before
	// the handle is written. A provider names what it makes after lease.ID, or looks it up by that.
	Fetch(ctx context.Context, lease tokenboundary.Lease) (Issued, error)

	// Revoke takes back whatever Fetch has made for the lease. It returns nil only if that is done, and not only asked for:
	// an error is tried again, and the lease is outstanding until then. It is idempotent: where there is nothing, there is
	// nothing to do. lease.Handle is that of Issued; nil where Fetch has failed, or nobody knows what became of it.
	Revoke(ctx context.Context, lease tokenboundary.Lease) error
}

// Renewer is a Provider of credentials that end by themselves before their lease does, and can be prolonged. It is an
// optional power: without it a credential that ends earlier makes its lease end.
type Renewer interface {
	// Renew prolongs the credential of the lease, whose Handle is that of Issued. It is called only while the lease is alive
	// and was used since the last time. An Issued.Secret that is zero leaves the credential as it is, an Issued.Handle that is
	// nil the handle.
	Renew(ctx context.Context, lease tokenboundary.Lease) (Issued, error)
}

// PublicError is an error of a Provider of which the text is known to hold nothing secret, and nothing that came from the other
// system: it is shown and logged, where of any other error only the kind is. Join it with a sentinel of package tokenboundary
// to say what it means.
type PublicError string

// Error implements error.
func (p PublicError) Error() string { return "broker: " + string(p) }

func (p PublicError) short() string { return strings.ToValidUTF8(string(p[:min(len(p), 200)]), "") }

// MaxHandle is the largest Issued.Handle in bytes.
const MaxHandle = 2048

// Issued is what a Provider has made.
type Issued struct {
	Secret Secret
	// Handle is what Revoke and Renew need besides the lease: a lease id of a vault, an accessor. It is sealed by Config.Sealer
	// and kept in the book of leases. At most MaxHandle bytes; nil: nothing.
	Handle []byte
	// Expires is when the system itself ends the credential; zero: not before the lease.
	Expires time.Time
}

// Sealer encrypts what is kept at rest: handles of leases, refresh tokens of other authorisation servers. It is called
// concurrently.
type Sealer interface {
	// Seal encrypts and authenticates plain, together with what it is about, which is not hidden and need not be kept: Open
	// must be told the same.
	Seal(ctx context.Context, about string, plain []byte) ([]byte, error)
	// Open returns what was sealed about the same. An error says nothing of the content.
	Open(ctx context.Context, about string, sealed []byte) ([]byte, error)
}

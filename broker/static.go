package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tokenboundary/tokenboundary"
)

// maxStatic is the largest value that Files and Environ read, in bytes.
const maxStatic = 64 << 10

// Files is a Provider of values that stand in files, by the names that they have in the secret. They are read for each
// lease; one trailing newline is ignored. It is for development, and for systems that have no more than one credential.
//
// Such a credential is everybody's, and cannot be taken back: it never leaves the broker, and a lease that was asked for to be
// delivered is refused.
type Files map[string]string

// Fetch implements Provider.
func (f Files) Fetch(_ context.Context, lease tokenboundary.Lease) (Issued, error) {
	return static(lease, f, readValue)
}

// Revoke implements Provider. There is nothing to take back.
func (Files) Revoke(context.Context, tokenboundary.Lease) error { return nil }

// Environ is a Provider of values that stand in environment variables, by the names that they have in the secret. It is for
// development; what is said of Files holds of it.
type Environ map[string]string

// Fetch implements Provider.
func (e Environ) Fetch(_ context.Context, lease tokenboundary.Lease) (Issued, error) {
	return static(lease, e, func(name string) (string, error) {
		value, ok := os.LookupEnv(name)
		if !ok {
			return "", os.ErrNotExist
		}
		return value, nil
	})
}

// Revoke implements Provider. There is nothing to take back.
func (Environ) Revoke(context.Context, tokenboundary.Lease) error { return nil }

var (
	_ Provider = Files(nil)
	_ Provider = Environ(nil)
)

var errStaticDelivered = errors.Join(tokenboundary.ErrDenied, PublicError("what cannot be taken back is not delivered"))

// static reads the values of a credential that is always the same.
func static(lease tokenboundary.Lease, from map[string]string, read func(string) (string, error)) (Issued, error) {
	if lease.Deliver {
		return Issued{}, errStaticDelivered
	}
	values := make(map[string]string, len(from))
	for name, place := range from {
		value, err := read(place)
		if err != nil || value == "" || len(value) > maxStatic {
			return Issued{}, errors.Join(tokenboundary.ErrUnavailable, PublicError(fmt.Sprintf("the value %q cannot be read, is empty or too long", name)))
		}
		values[name] = value
	}
	return Issued{Secret: NewSecret(values)}, nil
}

func readValue(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	raw, err := io.ReadAll(io.LimitReader(f, maxStatic+2))
	return strings.TrimSuffix(string(raw), "\n"), err
}

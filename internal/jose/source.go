package jose

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Source gives the keys of one issuer. It is safe for concurrent use.
type Source interface {
	// Keys returns the current key set. A kid that the set lacks may make the source look for newer keys first; the
	// returned set may still lack it. An error wraps ErrUnavailable if the keys cannot be had now.
	Keys(ctx context.Context, kid string) (KeySet, error)
}

// ErrUnavailable means that an issuer's keys cannot be had now and no earlier ones may be used any more.
var ErrUnavailable = errors.New("keys are unavailable")

// Static is a Source of keys that never change.
type Static KeySet

// Keys implements Source.
func (s Static) Keys(context.Context, string) (KeySet, error) { return KeySet(s), nil }

// File returns a Source of the JWKS document in a file, which is read once. A file without a usable key is refused.
// Errors name the file, never its content.
func File(path string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > MaxKeySet {
		return nil, fmt.Errorf("key set %s: not a regular file, or too long", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	set, err := ParseKeySet(raw)
	if err != nil {
		return nil, fmt.Errorf("key set %s: %w", path, err)
	}
	if set.Len() == 0 {
		return nil, fmt.Errorf("key set %s: no usable key", path)
	}
	return Static(set), nil
}

package gate

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// Secret is something that must not be seen. It hides itself in logs, in JSON and in fmt.
type Secret string

// String hides the secret.
func (s Secret) String() string { return "secret" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Bounds on the secret of a caller, in bytes. Secrets are random, and so need no slow hash.
const (
	minSecret = 16
	maxSecret = 4 << 10
)

// callers are the digests of the secrets by which a server is known.
type callers [][sha256.Size]byte

// callersOf returns the callers that know one of the secrets: one or, while it is being changed, two.
func callersOf(secrets []Secret) (callers, error) {
	if len(secrets) == 0 || len(secrets) > 2 {
		return nil, errors.New("gate: HookConfig.Secrets must hold one secret or, while it is changed, two")
	}
	var out callers
	for _, s := range secrets {
		unusable := strings.ContainsFunc(string(s), func(r rune) bool { return r < ' ' || r > '~' })
		if len(s) < minSecret || len(s) > maxSecret || unusable || strings.TrimSpace(string(s)) != string(s) {
			return nil, errors.New("gate: HookConfig.Secrets must be of 16 to 4096 printable characters, without a space around them")
		}
		out = append(out, sha256.Sum256([]byte(s)))
	}
	if len(slices.Compact(slices.Clone(out))) != len(out) {
		return nil, errors.New("gate: HookConfig.Secrets are the same")
	}
	return out, nil
}

// know reports whether the header names one of the callers, once. How long that takes depends on neither secret.
func (c callers) know(h http.Header, name string) bool {
	values := h.Values(name)
	if len(values) != 1 || len(values[0]) > maxSecret {
		return false
	}
	have, found := sha256.Sum256([]byte(values[0])), 0
	for _, want := range c {
		found |= subtle.ConstantTimeCompare(have[:], want[:])
	}
	return found == 1
}

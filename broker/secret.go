package broker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
)

// Secret is a credential: values by their names, such as username and password, or token. The zero Secret has none. It does
// not change.
//
// It hides its values in logs, in JSON and in fmt.
type Secret struct{ values map[string]string }

// NewSecret returns a secret of these values.
func NewSecret(values map[string]string) Secret { return Secret{maps.Clone(values)} }

// Value returns the value with the name; empty where there is none.
func (s Secret) Value(name string) string { return s.values[name] }

// Reveal returns all values, in a map of the caller's. It is for whoever hands the credential on.
func (s Secret) Reveal() map[string]string { return maps.Clone(s.values) }

// IsZero reports whether the secret has no value.
func (s Secret) IsZero() bool { return len(s.values) == 0 }

const hidden = "secret(hidden)"

// String hides the values.
func (Secret) String() string { return hidden }

// GoString hides the values.
func (Secret) GoString() string { return hidden }

// Format hides the values, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue hides the values.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON hides the values.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

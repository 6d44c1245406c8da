package identity

import (
	"encoding/json"
	"log/slog"
)

// ClientAuth says how one client authenticates: by exactly one of a secret, the hash of one, and keys. A client with
// none of them cannot authenticate. It hides its secret in logs, in JSON and in fmt.
type ClientAuth struct {
	// ID is the client id. Required.
	ID string
	// Secret is a random secret of at least 16 bytes (client_secret_basic).
	Secret string
	// SecretHash is the SHA-256 of such a secret, for configurations that do not hold it.
	SecretHash []byte
	// JWKSFile or JWKSURI is where the client's public keys are (private_key_jwt).
	JWKSFile, JWKSURI string
	// Algs are the algorithms accepted of a client with keys; the default is that of OIDCConfig.
	Algs []string
}

// String hides the secret.
func (a ClientAuth) String() string { return "client(" + a.ID + ")" }

// GoString hides the secret.
func (a ClientAuth) GoString() string { return a.String() }

// LogValue hides the secret.
func (a ClientAuth) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON hides the secret, also where it is part of something that is logged as JSON.
func (a ClientAuth) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

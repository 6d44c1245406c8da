package hostile

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// vectors is a file of Project Wycheproof, as far as it is used here.
type vectors[G any] struct {
	Count  int `json:"numberOfTests"`
	Groups []G `json:"testGroups"`
}

// vector is what all tests have.
type vector struct {
	ID      int    `json:"tcId"`
	Comment string `json:"comment"`
	Result  string `json:"result"`
}

// webGroup has the key of tests of JOSE: one, or a set of keys. Symmetric keys are only in private.
type webGroup struct {
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	Tests   []struct {
		vector
		JWS json.RawMessage `json:"jws"`
		JWE json.RawMessage `json:"jwe"`
	} `json:"tests"`
}

// load reads a file, and makes sure that all of it was read.
func load[G any](t *testing.T, name string, tests func(G) int) []G {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, name)
	require.NoError(t, err)
	var file vectors[G]
	require.NoError(t, json.Unmarshal(raw, &file))
	read := 0
	for _, g := range file.Groups {
		read += tests(g)
	}
	require.Equal(t, file.Count, read)
	require.NotZero(t, read)
	return file.Groups
}

func loadWeb(t *testing.T, name string) []webGroup {
	return load(t, name, func(g webGroup) int { return len(g.Tests) })
}

// text is what would be presented: a string as it is, and of an object its JSON.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// keySet reads the key or keys of a group as an issuer would publish them.
func keySet(raw json.RawMessage) (jose.KeySet, error) {
	var set struct{ Keys []json.RawMessage }
	if json.Unmarshal(raw, &set) == nil && set.Keys != nil {
		return jose.ParseKeySet(raw)
	}
	return jose.ParseKeySet([]byte(`{"keys":[` + string(raw) + `]}`))
}

func (g webGroup) public() bool  { return len(g.Public) > 0 && string(g.Public) != "null" }
func (g webGroup) private() bool { return len(g.Private) > 0 && string(g.Private) != "null" }

// keys returns what a group gives to verify with. Where it has no public key, that is a symmetric one.
func (g webGroup) keys() (jose.KeySet, error) {
	if g.public() {
		return keySet(g.Public)
	}
	return keySet(g.Private)
}

// lenient is front.Parse but for what is in the payload: the vectors sign texts, and would all be refused for that alone.
func lenient(raw string) (front.Token, error) {
	segments := strings.Split(raw, ".")
	if len(segments) != 3 {
		_, err := front.Parse(raw)
		return front.Token{}, err
	}
	tok, err := front.Parse(segments[0] + ".e30." + segments[2]) // an empty object
	if err == nil && segments[1] != "" {
		if _, err = front.Parse(raw); err != nil && strings.Contains(err.Error(), "token: payload: ") {
			err = nil // and so the payload is spelt as it must be
		}
	}
	if err != nil {
		return front.Token{}, err
	}
	tok.Raw, tok.SigningInput = raw, []byte(segments[0]+"."+segments[1])
	tok.Payload, err = b64.DecodeString(segments[1])
	return tok, err
}

// verify is the way of a foreign token whose payload nobody looks at: it returns why it is refused, or "".
func verify(raw string, set jose.KeySet, keyErr error) string {
	tok, err := lenient(raw)
	if err != nil {
		return reason(err)
	}
	if keyErr != nil {
		return "key: " + reason(keyErr)
	}
	found := set.Find(tok.Kid, tok.Alg, "sig")
	if len(found) == 0 {
		return "no such key"
	}
	for _, key := range found {
		if err = jose.Verify(tok, key, tok.Alg); err == nil {
			return ""
		}
	}
	return reason(err)
}

// reason is an error without what all of them begin with.
func reason(err error) string {
	_, why, found := strings.Cut(err.Error(), "acceptable token: ")
	if !found {
		_, why, found = strings.Cut(err.Error(), "key 0: ")
	}
	if !found {
		return err.Error()
	}
	return why
}

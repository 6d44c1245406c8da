package tokenboundary_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// TestNoErrorOfAPluginRepeatsACredential: however it is spelt, and whatever kind of error it is.
func TestNoErrorOfAPluginRepeatsACredential(t *testing.T) {
	const given = "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJlLW9mLWEtdG9rZW4tdGhhdC1uby1vbmUtZWxzZS1oYXM"
	for name, told := range map[string]error{
		"whole":                   fmt.Errorf("wrong token %s", given),
		"its signature":           fmt.Errorf("wrong signature %s", given[25:]),
		"cut off":                 fmt.Errorf("wrong token %s and so on", given[:60]),
		"encoded":                 fmt.Errorf("wrong token %s", base64.StdEncoding.EncodeToString([]byte(given))),
		"unavailable":             fmt.Errorf("%w: GET /introspect?token=%s", tb.ErrUnavailable, given),
		"unavailable, for a time": &tb.UnavailableError{RetryAfter: 7e9, Err: fmt.Errorf("GET /introspect?token=%s", given)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.cfg.Identities = []tb.IdentitySource{tb.IdentityFunc(func(context.Context, tb.Credential) (tb.Principal, error) {
					return tb.Principal{}, told
				})}
			})
			cred := tb.Credential{Type: tb.TypeJWT, Value: given}
			req := w.exchange("tool", cred, crm, "read")
			req.Enforce = everything
			_, err := w.Decide(w.ctx, req)
			_, stranger := w.Authenticate(w.ctx, tb.Credential{Type: tb.TypeClientAssertion, Value: given})
			require.Error(t, stranger)
			var u *tb.UnavailableError
			if name == "unavailable, for a time" {
				require.ErrorAs(t, err, &u)
				require.EqualValues(t, 7e9, u.RetryAfter, "control: when to come back is still told")
				require.ErrorIs(t, stranger, tb.ErrUnavailable)
			}
		})
	}
}

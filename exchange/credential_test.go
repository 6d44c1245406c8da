package exchange_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func basicOf(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

// posted is a request with a form and Authorization headers.
func posted(form string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header["Authorization"] = headers
	return r
}

const asserted = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="

func TestARequestHasOneCredential(t *testing.T) {
	good := basicOf("b+t:s%3A")
	secret := tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: "b t", Value: "s:"}
	for name, c := range map[string]struct {
		form    string
		headers []string
		want    tokenboundary.Credential
		status  int
		text    string
	}{
		"secret":            {"", []string{good}, secret, 0, ""},
		"any case":          {"", []string{"bASIC" + good[5:]}, secret, 0, ""},
		"named again":       {"client_id=b+t", []string{good}, secret, 0, ""},
		"assertion":         {asserted + "a&client_id=bot", nil, tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, ID: "bot", Value: "a"}, 0, ""},
		"form is malformed": {asserted + "a&scope=a&scope=b", nil, tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: "a"}, 0, ""},

		"none":                 {"client_id=bot", nil, secret, 401, "is required"},
		"another is named":     {"client_id=bot", []string{good}, secret, 401, "failed"},
		"two headers":          {"", []string{good, good}, secret, 400, "more than one"},
		"header and assertion": {asserted + "a", []string{good}, secret, 400, "more than one"},
		"header and secret":    {"client_secret=s", []string{good}, secret, 400, "more than one"},
		"secret and assertion": {asserted + "a&client_secret=s", nil, secret, 400, "more than one"},
		"secret in the form":   {"client_id=bot&client_secret=s", nil, secret, 401, "client_secret_post is not supported"},
		"two assertions":       {asserted + "a&client_assertion=b", nil, secret, 400, "client_assertion must not repeat"},
		"no type":              {"client_assertion=a", nil, secret, 401, "client_assertion_type"},
		"another type":         {"client_assertion=a&client_assertion_type=saml", nil, secret, 401, "client_assertion_type"},
		"bearer":               {"", []string{"Bearer a"}, secret, 401, "failed"},
		"too large":            {strings.Repeat("a", 256<<10+1), []string{good}, secret, 413, "too large"},
	} {
		r := posted(c.form, c.headers...)
		f, malformed := exchange.ReadForm(r)
		got, err := exchange.FormCredential(r, f, malformed)
		if c.status == 0 {
			require.NoError(t, err, name)
			require.Equal(t, c.want, got, name)
			continue
		}
		require.Zero(t, got, name)
		recorder := httptest.NewRecorder()
		exchange.AsError(err).Write(recorder)
		require.Equal(t, c.status, recorder.Code, name)
		require.ErrorContains(t, err, c.text, name)
	}
}

func TestASecretInAHeaderHasOneSpelling(t *testing.T) {
	got, err := exchange.HeaderCredential(posted("", basicOf("bot:s")))
	require.NoError(t, err)
	require.Equal(t, tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: "bot", Value: "s"}, got)
	got, err = exchange.HeaderCredential(posted("", "bearer a"))
	require.NoError(t, err)
	require.Equal(t, tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: "a"}, got)
	for _, bad := range []string{
		"", "Basic", "Basic ", "Bearer ", "Digest " + basicOf("bot:s")[6:], basicOf("bot"), basicOf("bot:"), basicOf(":s"), basicOf("bot:%zz"),
		basicOf("bot:%ff"), basicOf("bot:s") + "=", strings.TrimRight(basicOf("bot:sss"), "="), "Basic  " + basicOf("bot:s")[6:],
		basicOf("bot:" + strings.Repeat("s", 24<<10)),
	} {
		got, err := exchange.HeaderCredential(posted("", bad))
		require.Zero(t, got, bad)
		require.Equal(t, http.StatusUnauthorized, exchange.AsError(err).Status, bad)
		require.NotContains(t, err.Error(), "sss")
	}
	_, err = exchange.HeaderCredential(posted("", basicOf("bot:s"), "Bearer a"))
	require.ErrorContains(t, err, "more than one")
	_, err = exchange.HeaderCredential(posted(""))
	require.ErrorContains(t, err, "is required")
}

// A host of its own token endpoint reads the client's credential with the form, and authenticates before it says what is
// wrong with the rest.
func ExampleFormCredential() {
	r := posted("grant_type=client_credentials&scope=read", basicOf("bot:secret"))
	form, malformed := exchange.ReadForm(r)
	cred, err := exchange.FormCredential(r, form, malformed)
	fmt.Println(cred.Type == tokenboundary.TypeClientSecret, cred.ID, err)
	// Output: true bot <nil>
}

package exchange_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const (
	accessToken = tokenboundary.TypeAccessToken
	idToken     = tokenboundary.TypeIDToken
)

// requireError requires an *Error of this code whose description contains why.
func requireError(t *testing.T, err error, code, why string) {
	t.Helper()
	var e *exchange.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, e.Description)
	require.Contains(t, e.Description, why)
	requireSafe(t, err)
}

var describable = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)

// requireSafe requires that an error is one that may be answered: the characters of RFC 6749, section 5.2.
func requireSafe(t *testing.T, err error) {
	t.Helper()
	var e *exchange.Error
	require.True(t, errors.As(err, &e))
	require.Regexp(t, describable, e.Description)
	require.Regexp(t, describable, e.Code)
	require.Less(t, len(e.Description), 120)
}

func form(t *testing.T, values url.Values) exchange.Form {
	t.Helper()
	f, err := exchange.ParseForm(strings.NewReader(values.Encode()))
	require.NoError(t, err)
	return f
}

// exchanging is a good exchange, changed by pairs of name and value.
func exchanging(pairs ...string) url.Values {
	v := url.Values{
		"grant_type": {exchange.GrantTokenExchange}, "subject_token": {"S"}, "subject_token_type": {accessToken},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestParseExchange(t *testing.T) {
	v := exchanging("actor_token", "A", "actor_token_type", tokenboundary.TypeJWT, "scope", "b a b", "connection", "prod",
		"requested_token_type", accessToken, "audience", "https://two.example/", "client_id", "ignored", "made_up", "x")
	v["resource"] = []string{"https://one.example/", "https://three.example/"}
	req, err := exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.Equal(t, tokenboundary.Request{
		Grant:      tokenboundary.Exchange,
		Subject:    tokenboundary.Credential{Type: accessToken, Value: "S"},
		Actor:      tokenboundary.Credential{Type: tokenboundary.TypeJWT, Value: "A"},
		Connection: "prod",
		Resource:   []string{"https://one.example/", "https://three.example/", "https://two.example/"},
		Scopes:     []string{"a", "b"},
	}, req)
}

func TestParseClientCredentials(t *testing.T) {
	req, err := exchange.Parse(form(t, url.Values{"grant_type": {"client_credentials"}}))
	require.NoError(t, err)
	require.Equal(t, tokenboundary.Request{Grant: tokenboundary.ClientCredentials}, req)
}

func TestParseRefresh(t *testing.T) {
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {strings.Repeat("r", 16<<10)}, "scope": {"b a"}, "connection": {"prod"},
		"resource": {"https://one.example/"}, "authorization_details": {`[{"type":"payment"}]`}, "client_id": {"ignored"}, "made_up": {"x"}}
	req, err := exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.Equal(t, tokenboundary.Request{
		Grant:      tokenboundary.Refresh,
		Subject:    tokenboundary.Credential{Type: tokenboundary.TypeRefreshToken, Value: v.Get("refresh_token")},
		Connection: "prod", Resource: []string{"https://one.example/"}, Scopes: []string{"a", "b"}, Details: []byte(`[{"type":"payment"}]`),
	}, req)
	for name, c := range map[string][2]string{
		"refresh_token":         {strings.Repeat("r", 16<<10+1), "refresh_token is too long"},
		"subject_token":         {"S", "subject_token has no place"},
		"subject_token_type":    {accessToken, "subject_token_type has no place"},
		"actor_token":           {"A", "actor_token has no place"},
		"actor_token_type":      {accessToken, "actor_token_type has no place"},
		"requested_token_type":  {accessToken, "requested_token_type has no place"},
		"completion_mode":       {"deferred", "completion_mode has no place"},
		"deferral_code":         {"d", "deferral_code has no place"},
		"scope":                 {"a  b", "scope is malformed"},
		"authorization_details": {`[{"type":"task","purpose":"p"}]`, "cannot ask for a task"},
	} {
		requireRefused(t, v, name, c[0], c[1])
	}
	requireRefused(t, v, "refresh_token", "", "refresh_token is missing")
}

func TestParseDeferred(t *testing.T) {
	v := url.Values{"grant_type": {exchange.GrantDeferred}, "deferral_code": {strings.Repeat("d", 16<<10)},
		"client_id": {"c"}, "client_assertion": {"a"}, "client_assertion_type": {exchange.AssertionType}, "made_up": {"x"}}
	req, err := exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.Equal(t, tokenboundary.Request{
		Grant: tokenboundary.Deferred, Subject: tokenboundary.Credential{Type: tokenboundary.TypeDeferralCode, Value: v.Get("deferral_code")},
	}, req)
	for _, name := range []string{"resource", "audience", "scope", "connection", "authorization_details", "subject_token", "subject_token_type",
		"actor_token", "actor_token_type", "requested_token_type", "completion_mode", "refresh_token"} {
		requireRefused(t, v, name, "x", name+" has no place")
	}
	requireRefused(t, v, "deferral_code", strings.Repeat("d", 16<<10+1), "deferral_code is too long")
	requireRefused(t, v, "deferral_code", "", "deferral_code is missing")
}

// requireRefused requires that a good form is none with another value of one parameter.
func requireRefused(t *testing.T, good url.Values, name, value, why string) {
	t.Helper()
	v := maps.Clone(good)
	v.Set(name, value)
	req, err := exchange.Parse(form(t, v))
	require.ErrorContains(t, err, why, name)
	requireSafe(t, err)
	require.Zero(t, req, "nothing of a refused form is returned")
}

func TestParseDeferrable(t *testing.T) {
	for _, v := range []url.Values{exchanging(), {"grant_type": {"client_credentials"}}} {
		for mode, want := range map[string]bool{"": false, "deferred": true} {
			v.Set("completion_mode", mode)
			req, err := exchange.Parse(form(t, v))
			require.NoError(t, err)
			require.Equal(t, want, req.Deferrable, v)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("a", 16<<10+1)
	own := func(pairs ...string) url.Values {
		v := exchanging(pairs...)
		v.Set("grant_type", "client_credentials")
		for _, name := range []string{"subject_token", "subject_token_type"} {
			if v.Get(name) == "S" || v.Get(name) == accessToken {
				v.Del(name)
			}
		}
		return v
	}
	_, err := exchange.Parse(form(t, own()))
	require.NoError(t, err, "positive control")
	for _, c := range []struct {
		name, code, why string
		form            url.Values
	}{
		{"no grant type", "invalid_request", "grant_type is missing", exchanging("grant_type", "")},
		{"unknown grant type", "unsupported_grant_type", "grant_type", exchanging("grant_type", "password")},
		{"grant type in another case", "unsupported_grant_type", "grant_type", exchanging("grant_type", "Client_Credentials")},
		{"no subject", "invalid_request", "subject_token is missing", exchanging("subject_token", "")},
		{"nothing of a subject", "invalid_request", "subject_token is missing", exchanging("subject_token", "", "subject_token_type", "")},
		{"no subject type", "invalid_request", "subject_token_type is missing", exchanging("subject_token_type", "")},
		{"other subject type", "invalid_request", "subject_token_type is not supported",
			exchanging("subject_token_type", "urn:ietf:params:oauth:token-type:saml2")},
		{"refresh token as subject", "invalid_request", "subject_token_type is not supported",
			exchanging("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token")},
		{"a client's credential as subject", "invalid_request", "subject_token_type is not supported",
			exchanging("subject_token_type", tokenboundary.TypeClientSecret)},
		{"long subject", "invalid_request", "subject_token is too long", exchanging("subject_token", long)},
		{"actor without type", "invalid_request", "actor_token_type is missing", exchanging("actor_token", "A")},
		{"actor type alone", "invalid_request", "actor_token is missing", exchanging("actor_token_type", idToken)},
		{"other actor type", "invalid_request", "actor_token_type is not supported", exchanging("actor_token", "A", "actor_token_type", "x")},
		{"long actor", "invalid_request", "actor_token is too long", exchanging("actor_token", long, "actor_token_type", idToken)},
		{"other requested type", "invalid_request", "requested_token_type", exchanging("requested_token_type", idToken)},
		{"subject in client_credentials", "invalid_request", "subject_token has no place", own("subject_token", "other")},
		{"subject type in client_credentials", "invalid_request", "subject_token_type has no place", own("subject_token_type", idToken)},
		{"actor in client_credentials", "invalid_request", "actor_token has no place", own("actor_token", "A")},
		{"actor type in client_credentials", "invalid_request", "actor_token_type has no place", own("actor_token_type", idToken)},
		{"requested type in client_credentials", "invalid_request", "requested_token_type has no place", own("requested_token_type", accessToken)},
		{"other completion mode", "invalid_request", "completion_mode is not supported", exchanging("completion_mode", "immediate")},
		{"completion mode in another case", "invalid_request", "completion_mode is not supported", own("completion_mode", "Deferred")},
		{"refresh token beside a subject", "invalid_request", "refresh_token has no place", exchanging("refresh_token", "r")},
		{"refresh token in client_credentials", "invalid_request", "refresh_token has no place", own("refresh_token", "r")},
		{"deferral code beside a subject", "invalid_request", "deferral_code has no place", exchanging("deferral_code", "d")},
		{"deferral code in client_credentials", "invalid_request", "deferral_code has no place", own("deferral_code", "d")},
		{"two spaces", "invalid_scope", "scope", exchanging("scope", "a  b")},
		{"quote in scope", "invalid_scope", "scope", exchanging("scope", `a"b`)},
		{"tab in scope", "invalid_scope", "scope", exchanging("scope", "a\tb")},
		{"long scope", "invalid_scope", "scope", exchanging("scope", strings.Repeat("a", 257))},
		{"too many scopes", "invalid_scope", "scope", exchanging("scope", manyScopes(129))},
		{"long resource", "invalid_target", "resource", exchanging("resource", "https://a.example/"+strings.Repeat("a", 2048))},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := exchange.Parse(form(t, c.form))
			requireError(t, err, c.code, c.why)
			require.Zero(t, req, "nothing of a refused form is returned")
		})
	}
}

func manyScopes(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("s%d", i))
	}
	return strings.Join(out, " ")
}

func TestParseAtTheLimits(t *testing.T) {
	v := exchanging("subject_token", strings.Repeat("a", 16<<10), "scope", manyScopes(127)+" "+strings.Repeat("a", 256))
	for i := range 8 {
		v.Add("resource", fmt.Sprintf("https://r%d.example/", i))
		v.Add("audience", fmt.Sprintf("https://a%d.example/", i))
	}
	req, err := exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.Len(t, req.Resource, 16)
	require.Len(t, req.Scopes, 128)

	v.Add("audience", "https://more.example/")
	_, err = exchange.Parse(form(t, v))
	requireError(t, err, "invalid_target", "too many values of resource")
}

func TestParseTask(t *testing.T) {
	seven := uint64(7)
	v := url.Values{"grant_type": {"client_credentials"}, "authorization_details": {`[
		{"type":"payment","amount":1.50,"b":"é<"},
		{"type":"task","purpose":"triage","expires_in":900,"max_derivations":7,"context":{"z":1,"a":2},
		 "authority":[{"resource":"https://crm.example/","scopes":["b","a"]}]},
		{ "b":[1], "type":"other" }]`}}
	req, err := exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.Equal(t, &tokenboundary.TaskSpec{
		Purpose: "triage", ExpiresIn: 15 * time.Minute, MaxDerivations: &seven, Context: []byte(`{"a":2,"z":1}`),
		Authority: []lineage.Access{{Resource: "https://crm.example/", Scopes: []string{"b", "a"}}},
	}, req.Task)
	require.Equal(t, `[{"amount":1.50,"b":"é<","type":"payment"},{"b":[1],"type":"other"}]`, string(req.Details))

	v.Set("authorization_details", `[{"type":"task","purpose":"p"}]`)
	req, err = exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.Equal(t, &tokenboundary.TaskSpec{Purpose: "p"}, req.Task)
	require.Nil(t, req.Details)

	v.Set("authorization_details", `[{"type":"task","purpose":"p","max_derivations":0}]`)
	req, err = exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.NotNil(t, req.Task.MaxDerivations, "zero is a bound, not the absence of one")
	require.Zero(t, *req.Task.MaxDerivations)

	v.Set("authorization_details", `[]`)
	req, err = exchange.Parse(form(t, v))
	require.NoError(t, err)
	require.Nil(t, req.Task)
	require.Nil(t, req.Details)
}

func TestParseRefusesDetails(t *testing.T) {
	task := func(members string) string { return `[{"type":"task","purpose":"p",` + members + `}]` }
	for details, why := range map[string]string{
		`{}`:                          "is not an array",
		`null`:                        "is not an array",
		`"x"`:                         "is not an array",
		`[`:                           "is not acceptable JSON",
		`[] []`:                       "is not acceptable JSON",
		`[{"type":"a","type":"b"}]`:   "is not acceptable JSON",
		`[{"type":"a","x":"\ud800"}]`: "is not acceptable JSON",
		strings.Repeat("[", 40) + strings.Repeat("]", 40): "is not acceptable JSON",
		`["x"]`:                                                   "an entry that is not an object",
		`[null]`:                                                  "an entry that is not an object",
		`[{}]`:                                                    "an entry without a type",
		`[{"type":1}]`:                                            "an entry without a type",
		`[{"type":""}]`:                                           "an entry without a type",
		`[{"Type":"a"}]`:                                          "an entry without a type",
		`[{"type":"a"},{"x":1}]`:                                  "an entry without a type",
		`[{"type":"task"}]`:                                       "without a purpose",
		`[{"type":"task","Purpose":"p"}]`:                         "without a purpose",
		`[{"type":"task","purpose":null}]`:                        "bad purpose",
		`[{"type":"task","purpose":""}]`:                          "bad purpose",
		`[{"type":"task","purpose":["p"]}]`:                       "bad purpose",
		`[{"type":"task","purpose":"a\u0000b"}]`:                  "bad purpose",
		task(`"unknown":1`):                                       "unknown member",
		task(`"Expires_In":1`):                                    "unknown member",
		task(`"expires_in":0`):                                    "bad expires_in",
		task(`"expires_in":-1`):                                   "bad expires_in",
		task(`"expires_in":1.5`):                                  "bad expires_in",
		task(`"expires_in":1e3`):                                  "bad expires_in",
		task(`"expires_in":"900"`):                                "bad expires_in",
		task(`"expires_in":null`):                                 "bad expires_in",
		task(`"expires_in":4294967296`):                           "bad expires_in",
		task(`"expires_in":99999999999999999999999`):              "bad expires_in",
		task(`"max_derivations":-1`):                              "bad max_derivations",
		task(`"max_derivations":1.0`):                             "bad max_derivations",
		task(`"max_derivations":null`):                            "bad max_derivations",
		task(`"max_derivations":9223372036854775808`):             "bad max_derivations",
		task(`"context":[]`):                                      "bad context",
		task(`"context":null`):                                    "bad context",
		task(`"authority":null`):                                  "bad authority",
		task(`"authority":{}`):                                    "bad authority",
		task(`"authority":[]`):                                    "bad authority",
		task(`"authority":[{}]`):                                  "bad authority",
		task(`"authority":["x"]`):                                 "bad authority",
		task(`"authority":[{"resource":"u:1"}]`):                  "bad authority",
		task(`"authority":[{"resource":"","scopes":["a"]}]`):      "bad authority",
		task(`"authority":[{"resource":"u:1","scopes":[]}]`):      "bad authority",
		task(`"authority":[{"resource":"u:1","scopes":null}]`):    "bad authority",
		task(`"authority":[{"resource":"u:1","scopes":"a"}]`):     "bad authority",
		task(`"authority":[{"resource":"u:1","scopes":[1]}]`):     "bad authority",
		task(`"authority":[{"resource":"u:1","scopes":["a b"]}]`): "bad authority",
		task(`"authority":[{"resource":"u:1","scopes":["a"],"depth":9}]`):                                                       "bad authority",
		task(`"authority":[{"resource":"u:1","Scopes":["a"]}]`):                                                                 "bad authority",
		`[{"type":"task","purpose":"p"},{"type":"task","purpose":"p"}]`:                                                         "more than one task",
		`[{"type":"a","x":"` + strings.Repeat("a", 32<<10) + `"}]`:                                                              "is too long",
		task(`"authority":[` + strings.Repeat(`{"resource":"u:1","scopes":["a"]},`, 16) + `{"resource":"u:1","scopes":["a"]}]`): "bad authority",
	} {
		name := details[:min(len(details), 60)]
		req, err := exchange.Parse(form(t, url.Values{"grant_type": {"client_credentials"}, "authorization_details": {details}}))
		require.Error(t, err, name)
		requireError(t, err, "invalid_authorization_details", why)
		require.Zero(t, req, name)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(exchange.GrantTokenExchange, "S", accessToken, "a b", `[{"type":"task","purpose":"p","expires_in":1}]`, "deferred")
	f.Add("client_credentials", "", "", "a", `[{"type":"x","n":1.0}]`, "now")
	f.Add("client_credentials", "", "", "", `[{"type":"task","purpose":"p","authority":[{"resource":"u:1","scopes":["a"]}]}]`, "")
	f.Add("refresh_token", "R", "", "a", `[{"type":"x"}]`, "")
	f.Add("refresh_token", "R", "", "", `[{"type":"task","purpose":"p"}]`, "")
	f.Add(exchange.GrantDeferred, "D", "", "", "", "")
	f.Add(exchange.GrantDeferred, "D", "", "a", "", "deferred")
	f.Fuzz(func(t *testing.T, grant, subject, kind, scope, details, mode string) {
		v := url.Values{"grant_type": {grant}, "subject_token": {subject}, "subject_token_type": {kind}, "scope": {scope},
			"authorization_details": {details}, "completion_mode": {mode}}
		switch grant {
		case "refresh_token":
			v["refresh_token"], v["subject_token"] = v["subject_token"], nil
		case exchange.GrantDeferred:
			v["deferral_code"], v["subject_token"] = v["subject_token"], nil
		}
		parsed, err := exchange.ParseForm(strings.NewReader(v.Encode()))
		if err != nil {
			requireSafe(t, err)
			return
		}
		req, err := exchange.Parse(parsed)
		if err != nil {
			requireSafe(t, err)
			require.Zero(t, req)
			return
		}
		require.Contains(t, []tokenboundary.Grant{
			tokenboundary.ClientCredentials, tokenboundary.Exchange, tokenboundary.Refresh, tokenboundary.Deferred}, req.Grant)
		require.Equal(t, req.Grant != tokenboundary.ClientCredentials, !req.Subject.IsZero())
		require.Equal(t, req.Grant == tokenboundary.Refresh, req.Subject.Type == tokenboundary.TypeRefreshToken)
		require.Equal(t, req.Grant == tokenboundary.Deferred, req.Subject.Type == tokenboundary.TypeDeferralCode)
		require.Equal(t, mode == "deferred", req.Deferrable)
		if req.Grant == tokenboundary.Deferred {
			require.Equal(t, tokenboundary.Request{Grant: req.Grant, Subject: req.Subject}, req, "a code and nothing else")
		}
		if req.Grant == tokenboundary.Refresh {
			require.Nil(t, req.Task)
		}
		if req.Task != nil {
			require.NotEmpty(t, req.Task.Purpose)
			require.GreaterOrEqual(t, req.Task.ExpiresIn, time.Duration(0))
		}
		if len(req.Details) > 0 {
			require.Equal(t, byte('['), req.Details[0])
		}
	})
}

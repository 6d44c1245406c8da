package exchange_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/exchange"
)

func TestParseForm(t *testing.T) {
	for _, c := range []struct {
		name, body, why string
		want            map[string][]string // what must be readable, also beside an error
	}{
		{name: "plain", body: "grant_type=client_credentials&scope=a+b%20c",
			want: map[string][]string{"grant_type": {"client_credentials"}, "scope": {"a b c"}}},
		{name: "empty", body: "", want: map[string][]string{"scope": nil}},
		{name: "resource and audience repeat", body: "resource=u%3A1&audience=u:3&resource=u%3A2",
			want: map[string][]string{"resource": {"u:1", "u:2"}, "audience": {"u:3"}}},
		{name: "without a value is omitted", body: "scope=&connection&resource=", want: map[string][]string{"scope": nil, "connection": nil, "resource": nil}},
		{name: "unknown is kept out of the way", body: "made_up=1&scope=a", want: map[string][]string{"scope": {"a"}}},
		{name: "empty pairs", body: "&&scope=a&", want: map[string][]string{"scope": {"a"}}},
		{name: "more equals signs", body: "client_assertion=a=b==", want: map[string][]string{"client_assertion": {"a=b=="}}},
		{name: "repeat", body: "scope=a&client_id=c&scope=a", why: "scope must not repeat",
			want: map[string][]string{"scope": nil, "client_id": {"c"}}},
		{name: "repeat three times", body: "scope=a&scope=b&scope=c", why: "scope must not repeat", want: map[string][]string{"scope": nil}},
		{name: "repeat of an omitted one", body: "scope=&scope=a", why: "scope must not repeat", want: map[string][]string{"scope": nil}},
		{name: "repeat in another spelling", body: "scope=a&s%63ope=b", why: "scope must not repeat", want: map[string][]string{"scope": nil}},
		{name: "repeat of an unknown one", body: "hidden_secret=a&hidden_secret=b", why: "a parameter must not repeat"},
		{name: "bad escape", body: "scope=%zz&client_id=c", why: "scope is malformed", want: map[string][]string{"scope": nil, "client_id": {"c"}}},
		{name: "bad escape in a name", body: "%zz=1", why: "a parameter name is malformed"},
		{name: "not UTF-8", body: "scope=%ff", why: "scope is malformed", want: map[string][]string{"scope": nil}},
		{name: "raw not UTF-8", body: "scope=\xff", why: "scope is malformed"},
		{name: "semicolon", body: "scope=a;client_id=c", why: "scope is malformed", want: map[string][]string{"scope": nil, "client_id": nil}},
		{name: "as many as may be", body: strings.Repeat("resource=a&", 127) + "resource=a"},
		{name: "too many", body: strings.Repeat("resource=a&", 128), why: "too many parameters", want: map[string][]string{"resource": nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := exchange.ParseForm(strings.NewReader(c.body))
			if c.why == "" {
				require.NoError(t, err)
			} else {
				requireError(t, err, "invalid_request", c.why)
			}
			for name, values := range c.want {
				require.Equal(t, values, f.All(name), name)
				require.Equal(t, len(values) > 0, f.Has(name), name)
			}
		})
	}
}

func TestParseFormBoundsTheBody(t *testing.T) {
	whole := "scope=" + strings.Repeat("a", 256<<10-len("scope="))
	f, err := exchange.ParseForm(strings.NewReader(whole))
	require.NoError(t, err)
	require.Len(t, f.Get("scope"), 256<<10-len("scope="))

	_, err = exchange.ParseForm(strings.NewReader(whole + "a"))
	requireError(t, err, "invalid_request", "the body is too large")
	require.Equal(t, 413, exchange.AsError(err).Status)

	_, err = exchange.ParseForm(iotest.ErrReader(errors.New("secret")))
	requireError(t, err, "invalid_request", "the body could not be read")
	require.NotContains(t, err.Error(), "secret")
}

func TestReadForm(t *testing.T) {
	for kind, ok := range map[string]bool{
		"application/x-www-form-urlencoded":                   true,
		"Application/X-WWW-Form-Urlencoded; charset=UTF-8":    true,
		"application/x-www-form-urlencoded; charset=utf-7":    false,
		"application/json":                                    false,
		"multipart/form-data; boundary=x":                     false,
		"":                                                    false,
		"application/x-www-form-urlencoded, application/json": false,
	} {
		r := httptest.NewRequest("POST", "/token?scope=from-the-url", strings.NewReader("connection=c"))
		r.Header.Set("Content-Type", kind)
		f, err := exchange.ReadForm(r)
		require.False(t, f.Has("scope"), "the URL is not read")
		if ok {
			require.NoError(t, err, kind)
			require.Equal(t, "c", f.Get("connection"))
			continue
		}
		requireError(t, err, "invalid_request", "must be application/x-www-form-urlencoded")
		require.False(t, f.Has("connection"), kind)
	}
}

func TestReadObject(t *testing.T) {
	for body, why := range map[string]string{
		`{"a":1,"b":"x"}`:                   "",
		`{"a":1,"a":1}`:                     "not acceptable JSON",
		`{"a":1}{"a":1}`:                    "not acceptable JSON",
		`{"a":`:                             "not acceptable JSON",
		``:                                  "not acceptable JSON",
		`[1]`:                               "not a JSON object",
		`null`:                              "not a JSON object",
		strings.Repeat(" ", 256<<10) + `{}`: "too large",
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40): "not acceptable JSON",
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		members, err := exchange.ReadObject(r)
		if why == "" {
			require.NoError(t, err)
			require.Len(t, members, 2)
			continue
		}
		requireError(t, err, "invalid_request", why)
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{}`))
	r.Header.Set("Content-Type", "text/plain")
	_, err := exchange.ReadObject(r)
	requireError(t, err, "invalid_request", "must be application/json")
}

func TestPresentedToken(t *testing.T) {
	for body, why := range map[string]string{
		"token=abc":                                  "",
		"token=" + strings.Repeat("a", 16<<10):       "",
		"token=" + strings.Repeat("a", 16<<10) + "a": "token is too long",
		"token=":                       "token is missing",
		"token_type_hint=access_token": "token is missing",
	} {
		f, err := exchange.ParseForm(strings.NewReader(body))
		require.NoError(t, err)
		token, err := exchange.PresentedToken(f)
		if why == "" {
			require.NoError(t, err)
			require.Equal(t, strings.TrimPrefix(body, "token="), token)
			continue
		}
		requireError(t, err, "invalid_request", why)
		require.Empty(t, token)
	}
}

func TestFormHidesItsContent(t *testing.T) {
	f, err := exchange.ParseForm(strings.NewReader("client_secret=hunter2"))
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", f, f, f, f), "hunter2")
}

func FuzzParseForm(f *testing.F) {
	for _, s := range []string{
		"grant_type=client_credentials&scope=a+b", "resource=a&resource=b", "scope=a&scope=b", "a=%zz", "a;b=c", "%ff=1", "&=&=",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := exchange.ParseForm(bytes.NewReader(body))
		if err != nil {
			requireSafe(t, err)
		}
		for _, name := range []string{"scope", "grant_type", "client_id"} {
			require.LessOrEqual(t, len(form.All(name)), 1)
		}
		again, errAgain := exchange.ParseForm(io.MultiReader(bytes.NewReader(body)))
		require.Equal(t, form, again)
		require.Equal(t, err, errAgain)
	})
}

func TestWithoutLeavesTheFormAlone(t *testing.T) {
	f, err := exchange.ParseForm(strings.NewReader("scope=a&resource=b&resource=c"))
	require.NoError(t, err)
	rest := f.Without("resource")
	require.Equal(t, "a", rest.Get("scope"))
	require.False(t, rest.Has("resource"))
	require.Equal(t, []string{"b", "c"}, f.All("resource"))
	require.Zero(t, exchange.Form{}.Without("scope").All("scope"))
}

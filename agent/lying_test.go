package agent_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// jwt is an access token that nobody has signed, of a type.
func jwt(kind, claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(`{"typ":"`+kind+`","alg":"ES256"}`)) + "." + b64([]byte(claims)) + ".c2ln"
}

const ourType = `"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"`

// TestATokenEndpointThatLiesIsNotBelieved: whatever it answers, no token comes out that is broader, or other, than what
// was asked for.
func TestATokenEndpointThatLiesIsNotBelieved(t *testing.T) {
	task := lineage.IDOf([]byte("task")).String()
	good := func(token, rest string) string {
		return fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":300,%s,"task_id":%q%s}`, token, ourType, task, rest)
	}
	narrow := jwt("at+jwt", `{"aud":"https://crm.example/","scope":"cases:read","jti":"x"}`)
	for name, c := range map[string]struct {
		answer, kind string
		status       int
		want         error
		text         string
	}{
		"honest":              {good(narrow, `,"scope":"cases:read"`), "", 200, nil, ""},
		"says no scope":       {good(narrow, ``), "", 200, nil, ""},
		"opaque":              {good("opaque", ``), "", 200, nil, ""},
		"another kind of JWT": {good(jwt("JWT", `{"aud":"else"}`), ``), "", 200, nil, ""},
		"its task inside":     {good(jwt("at+jwt", `{"aud":"https://crm.example/","scope":"cases:read","task":{"id":"`+task+`"}}`), ``), "", 200, nil, ""},
		"other spelling":      {good(jwt("application/AT+jwt", `{"aud":["HTTPS://CRM.example:443/"],"scope":"cases:read"}`), ``), "", 200, nil, ""},

		"wider":             {good(narrow, `,"scope":"cases:read cases:write"`), "", 200, tokenboundary.ErrUnavailable, "more scopes"},
		"wider inside":      {good(jwt("at+jwt", `{"aud":"https://crm.example/","scope":"cases:read admin"}`), ``), "", 200, tokenboundary.ErrUnavailable, "more scopes"},
		"other scope":       {good(narrow, `,"scope":"cases:write"`), "", 200, tokenboundary.ErrUnavailable, "none of the scopes"},
		"less inside":       {good(jwt("at+jwt", `{"aud":"https://crm.example/"}`), ``), "", 200, tokenboundary.ErrDenied, "cases:read"},
		"wrong audience":    {good(jwt("at+jwt", `{"aud":"https://mail.example/","scope":"cases:read"}`), ``), "", 200, tokenboundary.ErrUnavailable, "another audience"},
		"more audiences":    {good(jwt("at+jwt", `{"aud":["https://crm.example/","https://mail.example/"],"scope":"cases:read"}`), ``), "", 200, tokenboundary.ErrUnavailable, "another audience"},
		"no audience":       {good(jwt("at+jwt", `{"scope":"cases:read"}`), ``), "", 200, tokenboundary.ErrUnavailable, "another audience"},
		"unreadable":        {good(jwt("at+jwt", `{"aud":1}`), ``), "", 200, tokenboundary.ErrUnavailable, "cannot be read"},
		"another task":      {strings.Replace(good(narrow, ``), task, lineage.IDOf(nil).String(), 1), "", 200, tokenboundary.ErrUnavailable, "another task"},
		"other task inside": {good(jwt("at+jwt", `{"aud":"https://crm.example/","scope":"cases:read","task":{"id":"else"}}`), ``), "", 200, tokenboundary.ErrUnavailable, "another task"},
		"bound inside":      {good(jwt("at+jwt", `{"aud":"https://crm.example/","scope":"cases:read","cnf":{"jkt":"k"}}`), ``), "", 200, tokenboundary.ErrUnavailable, "bound to a key"},
		"ends inside":       {good(jwt("at+jwt", `{"aud":"https://crm.example/","scope":"cases:read","iat":1772366400,"exp":1772366400}`), ``), "", 200, tokenboundary.ErrUnavailable, "without an end"},
		"no task":           {strings.Replace(good(narrow, ``), "task_id", "x", 1), "", 200, tokenboundary.ErrUnavailable, "another task"},
		"no expiry":         {strings.Replace(good(narrow, ``), "expires_in", "x", 1), "", 200, tokenboundary.ErrUnavailable, "no expires_in"},
		"expired":           {strings.Replace(good(narrow, ``), ":300", ":0", 1), "", 200, tokenboundary.ErrUnavailable, "no expires_in"},
		"negative":          {strings.Replace(good(narrow, ``), ":300", ":-1", 1), "", 200, tokenboundary.ErrUnavailable, "no expires_in"},
		"N_A":               {strings.Replace(good(narrow, ``), "Bearer", "N_A", 1), "", 200, tokenboundary.ErrUnavailable, "token_type"},
		"unbound DPoP":      {strings.Replace(good(narrow, ``), "Bearer", "DPoP", 1), "", 200, tokenboundary.ErrUnavailable, "token_type"},
		"no access token":   {strings.Replace(good(narrow, ``), "type:access_token", "type:id_token", 1), "", 200, tokenboundary.ErrUnavailable, "issued_token_type"},
		"line break":        {good("a\r\nX-Evil: 1", ``), "", 200, tokenboundary.ErrUnavailable, "access_token"},
		"HTML":              {"<html>sign in</html>", "text/html", 200, tokenboundary.ErrUnavailable, "not a JSON object"},
		"HTML error":        {"<html>sign in</html>", "text/html", 502, tokenboundary.ErrUnavailable, "server_error"},
		"refusal":           {`{"error":"invalid_target"}`, "", 400, tokenboundary.ErrDenied, "invalid_target"},
		"redirect":          {`{}`, "", 302, tokenboundary.ErrUnavailable, "server_error"},
		"breaks off":        {good(narrow, ``)[:40], "", 200, tokenboundary.ErrUnavailable, "not a JSON object"},
		"never ends":        {"", "endless", 200, tokenboundary.ErrUnavailable, "too long"},
		"secret in answer":  {`{"error":"` + secret("bot") + `"}`, "", 500, tokenboundary.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			asked := 0
			srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				kind := c.kind
				if kind == "" || kind == "endless" {
					kind = "application/json"
				}
				rw.Header().Set("Content-Type", "application/json")
				rw.Header().Set("Location", "https://evil.example/")
				if asked++; asked > 1 {
					rw.Header().Set("Content-Type", kind)
				} else {
					_, _ = io.WriteString(rw, good("task-token", ``))
					return
				}
				rw.WriteHeader(c.status)
				if c.kind == "endless" {
					gigabyte(rw)
					return
				}
				_, _ = io.WriteString(rw, c.answer)
			}))
			defer srv.Close()
			s := w.start(t, w.config(agent.Remote{Issuer: srv.URL, Auth: exchange.Basic("bot", secret("bot"))}))
			tok, err := s.Token(t.Context(), readCases)
			if c.want == nil {
				require.NoError(t, err)
				require.NotEmpty(t, tok.AccessToken)
				return
			}
			require.Nil(t, tok)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), narrow)
		})
	}
}

// gigabyte writes until the client has had enough.
func gigabyte(rw http.ResponseWriter) {
	block := []byte(strings.Repeat(" ", 1<<20))
	for range 1 << 10 {
		if _, err := rw.Write(block); err != nil {
			return
		}
	}
}

func TestAStartIsNotBelievedEither(t *testing.T) {
	task := lineage.IDOf([]byte("task")).String()
	for name, c := range map[string]struct{ answer, text string }{
		"honest":     {`"token_type":"Bearer","expires_in":300,"task_id":"` + task + `"`, ""},
		"no task":    {`"token_type":"Bearer","expires_in":300`, "no task"},
		"no id":      {`"token_type":"Bearer","expires_in":300,"task_id":"../../revoke"`, "no task"},
		"no expiry":  {`"token_type":"Bearer","task_id":"` + task + `"`, "no expires_in"},
		"unbound":    {`"token_type":"DPoP","expires_in":300,"task_id":"` + task + `"`, "token_type"},
		"no refresh": {`"token_type":"Bearer","expires_in":300,"refresh_token":"a b","task_id":"` + task + `"`, "refresh_token"},
	} {
		w := newWorld(t)
		srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(rw, `{"access_token":"t",%s,%s}`, ourType, c.answer)
		}))
		_, err := agent.Start(t.Context(), w.config(agent.Remote{Issuer: srv.URL, Auth: exchange.Basic("bot", "s")}))
		if c.text == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, tokenboundary.ErrUnavailable, name)
			require.ErrorContains(t, err, c.text, name)
		}
		srv.Close()
	}
}

func TestASlowTokenEndpointIsGivenUp(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, w.config(w.remote()))
	hang := make(chan struct{})
	defer close(hang)
	w.meanwhile(func(http.ResponseWriter, string) bool { <-hang; return true }, nil)
	got := make(chan error)
	go func() { _, err := s.Token(t.Context(), readCases); got <- err }()
	require.Eventually(t, func() bool { return w.count("token-exchange") == 2 }, time.Minute, time.Millisecond)
	w.clock.Add(30 * time.Second)
	require.ErrorIs(t, <-got, tokenboundary.ErrUnavailable)
}

func TestImpliedScopesAreAcceptedWhereTheyAreNamed(t *testing.T) {
	w := newWorld(t)
	w.decide(func(f tokenboundary.Facts) tokenboundary.Verdict {
		v := grants(f)
		if f.Grant == tokenboundary.Exchange && f.Ceiling != nil {
			v.Implied = []lineage.Access{{Resource: crm, Scopes: []string{"cases:read"}}}
			v.Access = []lineage.Access{{Resource: crm, Scopes: []string{"cases:read", "cases:write"}}}
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: crm, Scope: "cases:read", Granted: true, Rule: "/bot#implied"})
		}
		return v
	})
	write := agent.Call{Resource: crm, Scopes: []string{"cases:write"}}
	_, err := w.start(t, w.config(w.remote())).Token(t.Context(), write)
	require.ErrorContains(t, err, "more scopes than were asked for")
	cfg := w.config(w.remote())
	cfg.Implied = []string{"cases:read"}
	_, err = w.start(t, cfg).Token(t.Context(), write)
	require.NoError(t, err)
}

func TestARemoteNeedsASecureIssuer(t *testing.T) {
	w := newWorld(t)
	for _, issuer := range []string{"", "http://boundary.example", "https://u:p@boundary.example", "boundary.example"} {
		_, err := agent.Start(t.Context(), w.config(agent.Remote{Issuer: issuer, Auth: exchange.Basic("bot", "s")}))
		require.ErrorContains(t, err, "Client.Endpoint", issuer)
		require.ErrorContains(t, agent.Remote{Issuer: issuer, Auth: exchange.Basic("bot", "s")}.SetTask(t.Context(), lineage.IDOf(nil), tokenboundary.TaskCompleted), "Client.Endpoint")
	}
	_, err := agent.Start(t.Context(), w.config(agent.Remote{Issuer: w.issuer}))
	require.ErrorContains(t, err, "Auth is required")
	_, err = agent.Start(t.Context(), w.config(agent.Local{}))
	require.ErrorContains(t, err, "Local.Governor and Local.Client are required")
	require.ErrorIs(t, w.remote().SetTask(t.Context(), lineage.ID{}, tokenboundary.TaskCompleted), tokenboundary.ErrInvalid)
	require.ErrorIs(t, w.remote().SetTask(t.Context(), lineage.IDOf(nil), tokenboundary.TaskRevoked), tokenboundary.ErrInvalid)
}

// TestATokenIsKeptForNoLongerThanItSays: the answer counts from when it was asked for, and the token from when it was made.
func TestATokenIsKeptForNoLongerThanItSays(t *testing.T) {
	w := newWorld(t)
	task := lineage.IDOf([]byte("task")).String()
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked++
		now := w.clock.Now().Unix()
		token := jwt("at+jwt", fmt.Sprintf(`{"aud":%q,"scope":"cases:read","iat":%d,"exp":%d}`, crm, now, now+20))
		rw.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer","expires_in":300,%s,"task_id":%q}`, token, ourType, task)
	}))
	defer srv.Close()
	s := w.start(t, w.config(agent.Remote{Issuer: srv.URL, Auth: exchange.Basic("bot", secret("bot"))}))
	tok, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, w.clock.Now().Add(15*time.Second).Unix(), tok.Expiry.Unix(), "a quarter before its end")
	w.clock.Add(15 * time.Second)
	_, err = s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, 3, asked)
}

package gate_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// readAll reads a body and puts it back.
func readAll(r *http.Request) (string, error) {
	raw, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(raw)))
	return string(raw), err
}

// says makes the server change its honest answer.
func says(change func(map[string]any)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			honest := httptest.NewRecorder()
			h.ServeHTTP(honest, r)
			var body map[string]any
			_ = json.Unmarshal(honest.Body.Bytes(), &body)
			change(body)
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(honest.Code)
			_ = json.NewEncoder(rw).Encode(body)
		})
	}
}

// answers makes the server answer with something else.
func answers(status int, kind, body string, header ...string) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", kind)
			for i := 0; i < len(header); i += 2 {
				rw.Header().Set(header[i], header[i+1])
			}
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, body)
		})
	}
}

func TestATokenThatIsGoodForMoreIsARecordedDenialAndRevoked(t *testing.T) {
	for name, c := range map[string]struct {
		scope string
		lie   func(map[string]any)
		code  tb.Code
		why   string
	}{
		"wider":              {"read", func(b map[string]any) { b["scope"] = "read admin" }, tb.CodeInvalidScope, "the host cannot narrow scopes; allowed: read"},
		"wider, and allowed": {"read", func(b map[string]any) { b["scope"] = "read write" }, tb.CodeInvalidScope, "malformed"},
		"longer":             {"read", func(b map[string]any) { b["expires_in"] = 301 }, tb.CodeInvalidRequest, "the host cannot set the lifetime"},
		"for years":          {"read", func(b map[string]any) { b["expires_in"] = 1 << 30 }, tb.CodeInvalidRequest, "the host cannot set the lifetime"},

		"wider inside":            {"read", minted(`{"aud":"https://crm.example/","scope":"read admin"}`), tb.CodeInvalidScope, "the host cannot narrow scopes; allowed: read"},
		"wider inside, as a list": {"read", minted(`{"aud":"https://crm.example/","scp":["read","admin"]}`), tb.CodeInvalidScope, "the host cannot narrow scopes; allowed: read"},
		"for another resource":    {"read", minted(`{"aud":"https://mail.example/","scope":"read"}`), tb.CodeInvalidTarget, "malformed"},
		"for more resources":      {"read", minted(`{"aud":["https://crm.example/","account"],"scope":"read"}`), tb.CodeInvalidTarget, "malformed"},
		"longer inside":           {"read", minted(`{"aud":"https://crm.example/","iat":1772366400,"exp":1772370000}`), tb.CodeInvalidRequest, "the host cannot set the lifetime"},
		"for years inside":        {"read", minted(`{"aud":"https://crm.example/","exp":2772366400}`), tb.CodeInvalidRequest, "the host cannot set the lifetime"},
		"ambiguous inside":        {"read", minted(`{"aud":"https://mail.example/","aud":"https://crm.example/"}`), tb.CodeInvalidTarget, "malformed"},
		"no audience that can be": {"read", minted(`{"aud":{}}`), tb.CodeInvalidTarget, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := w.foreign()
			to := w.gate(f)
			require.Equal(t, 200, w.form(to, "bot", ask()).status, "positive control")
			f.lie = says(c.lie)
			w.denied(c.code, c.why, func() {
				r := w.form(to, "bot", ask("scope", c.scope))
				require.Equal(t, 400, r.status, r.raw)
				require.Equal(t, string(c.code), r.text("error"))
				require.Nil(t, r.at("access_token"))
			})
			require.Len(t, f.revoked(), 2, "the access token and the refresh token")
		})
	}
}

// minted makes the server answer with a JWT of its own, which says something of itself.
func minted(claims string) func(map[string]any) {
	return func(b map[string]any) {
		b64 := base64.RawURLEncoding.EncodeToString
		b["access_token"] = b64([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + b64([]byte(claims)) + ".c2ln"
	}
}

func TestATokenThatSaysWhatWasDecidedIsReleased(t *testing.T) {
	for name, claims := range map[string]string{
		"all of it":  `{"aud":["https://crm.example/"],"scope":"read","iat":1772366400,"exp":1772366700}`,
		"less of it": `{"aud":"https://crm.example/","scope":"","exp":1772366500.5}`,
		"nothing":    `{}`,
		"other":      `{"scope":null,"groups":["admin"],"exp":1772366700.5,"iat":1772366400.7}`,
	} {
		w := newWorld(t)
		f := w.foreign()
		f.lie = says(minted(claims))
		require.Equal(t, 200, w.form(w.gate(f), "bot", ask("scope", "read")).status, name)
	}
	w := newWorld(t)
	f := w.foreign()
	for _, opaque := range []string{"a.b.c", "a.e30", "....", "x.bm8.y"} {
		f.lie = says(func(b map[string]any) { b["access_token"] = opaque })
		require.Equal(t, 200, w.form(w.gate(f), "bot", ask("scope", "read")).status, opaque)
	}
}

func TestALongerLifeAtAnHonestServer(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	f.life = time.Hour
	to := w.gate(f)
	w.denied(tb.CodeInvalidRequest, "the host cannot set the lifetime", func() {
		require.Equal(t, 400, w.form(to, "bot", ask()).status)
	})
	for _, token := range f.revoked() {
		require.NotEmpty(t, token)
	}
	f.life = time.Minute
	require.EqualValues(t, "60", w.form(to, "bot", ask()).at("expires_in"), "a shorter one is welcome")
}

func TestWhatIsNoAnswerIsNotReleased(t *testing.T) {
	endless := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"access_token":"`)
			piece := strings.Repeat("x", 1<<16)
			for range 1 << 14 { // a gibibyte, if anybody took it
				if _, err := io.WriteString(rw, piece); err != nil {
					return
				}
			}
		})
	}
	slow := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = readAll(r)
			<-r.Context().Done()
		})
	}
	for name, c := range map[string]struct {
		lie    func(http.Handler) http.Handler
		status int
		code   string
	}{
		"HTML":              {answers(200, "text/html", "<html>canary-"), 503, "temporarily_unavailable"},
		"no JSON":           {answers(200, "application/json", "canary-"), 503, "temporarily_unavailable"},
		"a redirect":        {answers(307, "application/json", "{}", "Location", "/elsewhere"), 503, "temporarily_unavailable"},
		"its own trouble":   {answers(500, "application/json", `{"error":"canary-"}`), 503, "temporarily_unavailable"},
		"not our password":  {answers(401, "application/json", `{"error":"invalid_client"}`), 503, "temporarily_unavailable"},
		"a code of its own": {answers(400, "application/json", `{"error":"canary-"}`), 503, "temporarily_unavailable"},
		"not for a client":  {answers(403, "application/json", `{"error":"invalid_scope"}`), 503, "temporarily_unavailable"},
		"a refusal":         {answers(400, "application/json", `{"error":"invalid_scope","error_description":"canary-"}`), 400, "invalid_scope"},
		"a gibibyte":        {endless, 503, "temporarily_unavailable"},
		"nothing":           {slow, 503, "temporarily_unavailable"},
		"no expiry":         {says(func(b map[string]any) { delete(b, "expires_in") }), 503, "temporarily_unavailable"},
		"another type":      {says(func(b map[string]any) { b["token_type"] = "DPoP" }), 503, "temporarily_unavailable"},
		"other scopes":      {says(func(b map[string]any) { b["scope"] = "admin" }), 503, "temporarily_unavailable"},
		"no token":          {says(func(b map[string]any) { b["access_token"] = "" }), 503, "temporarily_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := w.foreign()
			to := w.gate(f, func(g *gate.Config) {
				if name == "nothing" {
					g.Timeout = 100 * time.Millisecond
				}
			})
			f.lie = c.lie
			r := w.form(to, "bot", ask())
			require.Equal(t, c.status, r.status, r.raw)
			require.Equal(t, c.code, r.text("error"))
			require.Empty(t, w.records(lineage.KindToken))
			require.Equal(t, 1, f.count(), "asked once, and sent nowhere else")
			if name != "nothing" { // which still waits
				f.lie = nil
				require.Equal(t, 200, w.form(to, "bot", ask()).status, "positive control")
			}
		})
	}
}

func TestWhatTheServerAddsIsNotPassedOn(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	f.lie = says(func(b map[string]any) { b["id_token"], b["session"] = "x", "y"; delete(b, "scope") })
	r := w.form(w.gate(f), "bot", ask())
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, []string{"access_token", "expires_in", "refresh_token", "scope", "token_type"}, names(r.body))
}

func TestATokenThatCannotBeRecordedIsDiscarded(t *testing.T) {
	for name, between := range map[string]func(*world){
		"the store is down": func(w *world) { w.store.writes.Store(true) },
		"it was revoked":    func(w *world) { w.revoke("client:bot") },
		"it took too long":  func(w *world) { w.clock.Add(61 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := w.foreign()
			to := w.gate(f)
			require.Equal(t, 200, w.form(to, "bot", ask()).status, "positive control")
			tokens := len(w.records(lineage.KindToken))
			f.lie = says(func(map[string]any) { between(w) }) // between the decision and the record
			r := w.form(to, "bot", ask())
			require.Equal(t, 503, r.status, r.raw)
			require.Equal(t, "temporarily_unavailable", r.text("error"))
			require.NotEmpty(t, r.header.Get("Retry-After"))
			require.Len(t, w.records(lineage.KindToken), tokens)
			require.Len(t, f.revoked(), 2)
			for _, token := range f.revoked() {
				require.NotEmpty(t, token)
				require.NotContains(t, w.log.String(), token)
			}
		})
	}
}

func TestATokenThatWasReleasedBeforeIsNotReleasedForAnotherDecision(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f)
	first := w.form(to, "bot", ask()).text("access_token")
	f.lie = says(func(b map[string]any) { b["access_token"] = first })
	require.Equal(t, 503, w.form(to, "other", ask()).status)
	require.Len(t, w.records(lineage.KindToken), 1)
}

func TestADiscardThatFailsIsLogged(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	f.lie = says(func(b map[string]any) { b["scope"] = "read admin" })
	to := w.gate(f, func(c *gate.Config) { c.Revocation = f.url + "/nothing-here" })
	require.Equal(t, 400, w.form(to, "bot", ask()).status)
	require.Contains(t, w.log.String(), "could not be revoked")
	require.Contains(t, w.log.String(), "status 404")

	w = newWorld(t)
	f = w.foreign()
	f.lie = says(func(b map[string]any) { b["scope"] = "read admin" })
	require.Equal(t, 400, w.form(w.gate(f, func(c *gate.Config) { c.Revocation = "" }), "bot", ask()).status)
	require.Empty(t, f.revoked())
}

func TestWhatWasMintedIsRecordedWhoeverHasGone(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	gone, leave := context.WithCancel(t.Context())
	f.lie = says(func(map[string]any) { leave() })
	g, err := gate.New(gate.Config{
		Governor: w.Governor, Token: f.url + "/token", Clock: w.clock,
		Clients: map[string]exchange.Authenticator{"bot": exchange.Basic("bot", secretAt("bot"))},
	})
	require.NoError(t, err)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(gone, cancel)()
		g.ServeHTTP(rw, r.WithContext(ctx))
	}))
	r, err := http.NewRequestWithContext(gone, http.MethodPost, s.URL, strings.NewReader(ask().Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("bot", secretOf("bot"))
	_, err = http.DefaultTransport.RoundTrip(r) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
	s.Close() // when the last request has ended
	require.Len(t, w.records(lineage.KindToken), 1)
}

func TestACookieOfTheServerIsNotKept(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	f.lie = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			http.SetCookie(rw, &http.Cookie{Name: "session", Value: "of-bot"})
			h.ServeHTTP(rw, r)
		})
	}
	to := w.gate(f, func(c *gate.Config) {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		c.HTTPClient = &http.Client{Jar: jar}
	})
	for _, client := range []string{"bot", "other"} {
		require.Equal(t, 200, w.form(to, client, ask()).status)
		r, _ := f.last()
		require.Empty(t, r.Cookies())
	}
}

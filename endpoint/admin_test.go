package endpoint_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// bearer authenticates as crm-tool with an assertion in the header.
func bearer(assertion string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+assertion) }
}

// records returns the records of an answer, each checked against its own address.
func (s *server) records(a answer) []lineage.Record {
	s.Helper()
	var out struct {
		Records []struct {
			ID      string          `json:"id"`
			Raw     string          `json:"raw"`
			RawBody string          `json:"raw_body"`
			Record  json.RawMessage `json:"record"`
			State   string          `json:"state"`
		} `json:"records"`
	}
	require.NoError(s, json.Unmarshal([]byte(s.ok(a).raw), &out))
	list := []lineage.Record{}
	for _, r := range out.Records {
		raw, err := base64.RawURLEncoding.DecodeString(r.Raw)
		require.NoError(s, err)
		sum := sha256.Sum256(raw)
		require.Equal(s, r.ID, base64.RawURLEncoding.EncodeToString(sum[:]), "the id is the hash of raw")
		body, err := base64.RawURLEncoding.DecodeString(r.RawBody)
		require.NoError(s, err)
		rec, err := lineage.Decode(raw, body)
		require.NoError(s, err)
		list = append(list, rec)
	}
	return list
}

func states(t *testing.T, a answer) []string {
	var out []string
	for _, r := range a.body["records"].([]any) {
		out = append(out, r.(map[string]any)["state"].(string))
	}
	return out
}

func TestLineage(t *testing.T) {
	s := newServer(t)
	root := s.token("support-bot", "scope", "cases:read cases:write")
	s.clock.Add(time.Second)
	child := s.ok(s.tool(root, "scope", "cases:read")).text("access_token")
	s.clock.Add(time.Second)
	s.refused(s.tool(root, "scope", "cases:delete"), 400, "invalid_scope", "")
	rootID, childID := s.claims(root)["jti"].(string), s.claims(child)["jti"].(string)

	a := s.get("ops", "/lineage/"+childID)
	chain := s.records(a)
	require.Len(t, chain, 2)
	require.Equal(t, rootID, chain[0].ID().String(), "root first")
	id, err := lineage.ParseID(childID)
	require.NoError(t, err)
	require.NoError(t, lineage.VerifyChain(id, chain), "from the token alone")
	require.Equal(t, []string{"active", "active"}, states(t, a))
	readable := a.body["records"].([]any)[1].(map[string]any)["record"].(map[string]any)
	require.Equal(t, "token", readable["kind"])
	require.Equal(t, "crm-tool", readable["client"])
	require.Equal(t, []any{rootID}, readable["parents"])
	require.NotContains(t, readable, "erased")

	tree := s.get("ops", "/lineage/"+rootID+"/tree")
	require.Equal(t, []string{"active", "denied"}, states(t, tree))
	require.Equal(t, childID, s.records(tree)[0].ID().String())
	require.NotContains(t, tree.body, "truncated")
	require.Equal(t, "no-store", tree.header.Get("Cache-Control"))
	require.JSONEq(t, `{"records":[]}`, s.ok(s.get("ops", "/lineage/"+childID+"/tree")).raw)

	require.Equal(t, 200, s.post("support-bot", "/revoke", "token", root).status)
	require.Equal(t, []string{"revoked", "revoked"}, states(t, s.get("ops", "/lineage/"+childID)))

	for _, path := range []string{"/lineage/" + childID, "/lineage/" + rootID + "/tree"} {
		s.refused(s.get("support-bot", path), 403, "unauthorized_client", "")
		s.refused(s.get("crm", path), 403, "unauthorized_client", "")
		s.refused(s.do("", "GET", path, "", "", bearer(s.assertion())), 403, "unauthorized_client", "")
		a := s.refused(s.get("", path), 401, "invalid_client", "")
		require.Len(t, a.header.Values("WWW-Authenticate"), 2, "a secret or an assertion")
	}
	unknown := base64.RawURLEncoding.EncodeToString(make([]byte, 31)) + "AAA"
	for _, id := range []string{"x", childID + "A", childID[:42] + "%41", "..", unknown, root} {
		s.refused(s.get("ops", "/lineage/"+id), 404, "invalid_request", "")
		s.refused(s.get("ops", "/lineage/"+id+"/tree"), 404, "invalid_request", "")
	}
}

func TestHeaderAuthentication(t *testing.T) {
	s := newServer(t)
	a := s.ok(s.post("", "/token", "grant_type", "client_credentials", "authorization_details", `[{"type":"task","purpose":"p"}]`,
		"client_assertion", s.assertion(), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))
	path := "/tasks/" + a.text("task_id")
	once := s.assertion()
	s.ok(s.do("", "GET", path, "", "", bearer(once)))
	s.ok(s.do("", "GET", path, "", "", bearer(once))) // a read stays a read
	s.ok(s.do("", "POST", path+"/complete", "", "", bearer(once)))
	s.refused(s.do("", "POST", path+"/complete", "", "", bearer(once)), 401, "invalid_client", "")

	both := func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+s.assertion()) }
	s.refused(s.do("ops", "GET", path, "", "", both), 400, "invalid_request", "more than one")
	s.refused(s.do("", "GET", path, "", "", bearer("")), 401, "invalid_client", "")
	s.refused(s.do("", "GET", path, "", "", bearer(a.text("access_token"))), 401, "invalid_client", "")
	s.ok(s.do("odd id:%&+é", "GET", path, "", ""))
}

const jsonType = "application/json"

func (s *server) cut(client, body string) answer {
	return s.do(client, "POST", "/revocations", jsonType, body)
}

func TestRevocationsBySelector(t *testing.T) {
	s := newServer(t)
	token := s.token("support-bot")
	for body, why := range map[string]string{
		`{"selector":"connection:prod","block":true,"lift":true}`: "exclude each other",
		`{"selector":"colour:red"}`:                               "selector",
		`{"selector":"connection:"}`:                              "selector",
		`{"selector":"connection"}`:                               "selector",
		`{"selector":"token:x"}`:                                  "selector",
		`{"selector":""}`:                                         "selector",
		`{}`:                                                      "selector",
		`{"selector":null}`:                                       "selector is malformed",
		`{"selector":1}`:                                          "selector is malformed",
		`{"selector":"connection:prod","block":"true"}`:           "block is malformed",
		`{"selector":"connection:prod","Block":true}`:             "unknown member",
		`{"selector":"connection:prod","before":"2020-01-01T00:00:00Z"}`: "unknown member",
		`{"selector":"connection:a","selector":"connection:prod"}`:       "not acceptable JSON",
		`["connection:prod"]`:                   "not a JSON object",
		`{"selector":"session:s","block":true}`: "not acceptable",
		`{"selector":"connection:prod","reason":"` + strings.Repeat("a", 600) + `"}`: "not acceptable",
	} {
		s.refused(s.cut("ops", body), 400, "invalid_request", why)
	}
	good := `{"selector":"connection:prod","reason":"drill"}`
	s.refused(s.do("ops", "POST", "/revocations", formType, good), 400, "invalid_request", "application/json")
	s.refused(s.do("ops", "POST", "/revocations", jsonType, good+strings.Repeat(" ", 256<<10)), 413, "invalid_request", "too large")
	s.refused(s.cut("crm", good), 403, "unauthorized_client", "")
	s.refused(s.cut("support-bot", good), 403, "unauthorized_client", "")
	s.refused(s.cut("", good), 401, "invalid_client", "")
	s.claims(token)

	a := s.cut("ops", good)
	require.Equal(t, 201, a.status)
	require.Equal(t, "connection:prod", a.text("selector"))
	require.Equal(t, "drill", a.text("reason"))
	require.Equal(t, "ops", a.text("by"))
	s.inactive(token)

	s.clock.Add(10 * time.Second)
	s.claims(s.token("support-bot"))
	s.ok(s.cut("ops", `{"selector":"connection:prod","block":true}`))
	s.clock.Add(10 * time.Second)
	s.refused(s.post("support-bot", "/token", "grant_type", "client_credentials"), 400, "invalid_target", "")
	s.ok(s.cut("ops", `{"selector":"connection:prod","lift":true,"block":false}`))
	s.clock.Add(10 * time.Second)
	s.claims(s.token("support-bot"))
}

// seq returns the place of a feed entry; where a feed begins is the store's.
func seq(entry any) uint64 { return uint64(entry.(map[string]any)["seq"].(float64)) }

func feedAfter(seq uint64) string { return "/revocations?after=" + strconv.FormatUint(seq, 10) }

func TestFeed(t *testing.T) {
	s := newServer(t)
	require.JSONEq(t, `{"entries":[]}`, s.ok(s.get("ops", "/revocations")).raw)
	s.ok(s.cut("ops", `{"selector":"subject:alice","reason":"left"}`))
	s.ok(s.cut("ops", `{"selector":"client:stranger","block":true}`))

	entries := s.ok(s.get("ops", "/revocations?after=0")).body["entries"].([]any)
	require.Len(t, entries, 2)
	first := entries[0].(map[string]any)
	at := seq(first)
	require.Equal(t, "left", first["reason"])
	require.Equal(t, "ops", first["by"])
	require.Contains(t, first, "before")
	require.Equal(t, "block", entries[1].(map[string]any)["action"])

	entries = s.ok(s.get("crm", feedAfter(at)+"&wait=30s")).body["entries"].([]any)
	require.Len(t, entries, 1)
	second := entries[0].(map[string]any)
	require.Equal(t, at+1, seq(second))
	require.NotContains(t, second, "by")
	require.NotContains(t, second, "reason")

	for _, gone := range []uint64{1, at - 2, at + 2} { // of another store, or beyond the newest
		s.refused(s.get("ops", feedAfter(gone)), 410, "invalid_request", "feed")
		s.refused(s.get("ops", feedAfter(gone)+"&wait=1s"), 410, "invalid_request", "feed")
	}
	s.refused(s.get("support-bot", "/revocations"), 403, "unauthorized_client", "")
	s.refused(s.get("", "/revocations"), 401, "invalid_client", "")
	for _, query := range []string{"after=-1", "after=x", "after=1&after=2", "after=1.5", "wait=30", "wait=-1s", "wait=x", "wait=1s&wait=1s", "after=%zz",
		"after=99999999999999999999999"} {
		s.refused(s.get("ops", "/revocations?"+query), 400, "invalid_request", "")
	}
}

// poll starts a request that finds the feed empty, and returns once it waits, with where its answer will be.
func (s *server) poll(client, path string, change ...func(*http.Request)) <-chan answer {
	before := s.store.feeds.Load()
	out := make(chan answer, 1)
	go func() { out <- s.do(client, "GET", path, "", "", change...) }()
	for s.store.feeds.Load() < before+2 { // read once by the handler, and once more at the start of the wait
		require.Empty(s, out, "answered at once")
		runtime.Gosched()
	}
	return out
}

// until moves the clock, second by second, until the answer is there, and returns how many it took.
func (s *server) until(out <-chan answer) (answer, int) {
	for n := 0; ; n++ {
		for range 50 {
			select {
			case a := <-out:
				return a, n
			default:
				runtime.Gosched()
			}
		}
		require.Less(s, n, 3600, "no answer within an hour")
		s.clock.Add(time.Second)
	}
}

func TestFeedWaits(t *testing.T) {
	s := newServer(t)
	a, _ := s.until(s.poll("crm", "/revocations?after=0&wait=5s"))
	require.JSONEq(t, `{"entries":[]}`, s.ok(a).raw)

	out := s.poll("crm", "/revocations?after=0&wait=60s")
	s.ok(s.cut("ops", `{"selector":"subject:alice"}`))
	a, _ = s.until(out)
	entries := s.ok(a).body["entries"].([]any)
	require.Len(t, entries, 1)

	// However long the client asks to wait, it is not more than a minute.
	start := s.clock.Now()
	a, _ = s.until(s.poll("crm", feedAfter(seq(entries[0]))+"&wait=8760h"))
	require.JSONEq(t, `{"entries":[]}`, s.ok(a).raw)
	require.GreaterOrEqual(t, s.clock.Since(start), time.Minute)
}

func TestFeedOutlivesTheAssertion(t *testing.T) {
	s := newServer(t)
	old := s.assertionOf("crm-signer")
	s.clock.Add(50 * time.Second)
	a, _ := s.until(s.poll("", "/revocations?after=0&wait=30s", bearer(old)))
	require.JSONEq(t, `{"entries":[]}`, s.ok(a).raw, "no error at the end of a wait that was good at its start")
	s.refused(s.do("", "GET", "/revocations?after=0", "", "", bearer(old)), 401, "invalid_client", "")
	s.ok(s.do("", "GET", "/revocations?after=0", "", "", bearer(s.assertionOf("crm-signer"))))
}

func TestFeedIsServedInParts(t *testing.T) {
	s := newServer(t)
	tx := store.Tx{Issuer: issuer, Time: s.clock.Now()}
	for i := range 1001 {
		sel, err := lineage.ParseSelector("subject:s" + strconv.Itoa(i))
		require.NoError(t, err)
		tx.Revocations = append(tx.Revocations, lineage.Revocation{Selector: sel, At: tx.Time})
	}
	require.NoError(t, s.store.Commit(t.Context(), []store.Tx{tx})[0])
	entries := s.ok(s.get("crm", "/revocations")).body["entries"].([]any)
	require.Len(t, entries, 1000)
	require.Equal(t, seq(entries[0])+999, seq(entries[999]))
	require.Len(t, s.ok(s.get("crm", feedAfter(seq(entries[999])))).body["entries"], 1)
}

func TestTreeIsWholeOrSaysNot(t *testing.T) {
	s := newServer(t)
	root := s.token("support-bot")
	id := s.claims(root)["jti"].(string)
	for range 40 {
		s.clock.Add(time.Millisecond)
		s.ok(s.exchanged("support-bot", root, tokenboundary.TypeAccessToken))
	}
	path := "/lineage/" + id + "/tree"
	whole := s.get("ops", path)
	require.Len(t, s.records(whole), 40)
	require.Greater(t, len(whole.raw), 64<<10, "more than is buffered")

	endpoint.LimitTree(s.handler, 39)
	a := s.ok(s.get("ops", path))
	require.Len(t, a.body["records"], 39)
	require.Equal(t, true, a.body["truncated"])
	endpoint.LimitTree(s.handler, 40)
	require.Equal(t, whole.raw, s.ok(s.get("ops", path)).raw)

	s.store.gets.Store(2) // fails before anything was sent
	s.refused(s.get("ops", path), 503, "temporarily_unavailable", "")

	s.store.gets.Store(3) // fails when most of it was
	r, err := http.NewRequest("GET", s.url+path, nil)
	require.NoError(t, err)
	r.SetBasicAuth("ops", url.QueryEscape(secret("ops")))
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	_, err = io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a part must not look like the whole")
	require.Equal(t, whole.raw, s.ok(s.get("ops", path)).raw, "positive control")
}

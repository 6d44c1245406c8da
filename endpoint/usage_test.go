package endpoint_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// usesIn reads a report as the endpoint does.
func usesIn(body string) ([]tokenboundary.Use, error) {
	r := httptest.NewRequest("POST", "/usage", strings.NewReader(body))
	r.Header.Set("Content-Type", jsonType)
	members, err := exchange.ReadObject(r)
	if err != nil {
		return nil, err
	}
	return endpoint.ReadUses(members)
}

const noon = "2026-03-01T12:00:00Z"

func TestReadUses(t *testing.T) {
	id := lineage.ID{7}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for body, want := range map[string]tokenboundary.Use{
		fmt.Sprintf(`{"jti":%q,"at":%q}`, id, noon):                                   {Token: id, At: at},
		fmt.Sprintf(`{"jti":%q,"at":%q,"scopes":["a","b"],"count":3}`, id, noon):      {Token: id, At: at, Scopes: []string{"a", "b"}, Count: 3},
		fmt.Sprintf(`{"jti":"a handle of ours","at":%q,"scopes":[]}`, noon):           {At: at, Scopes: []string{}},
		fmt.Sprintf(`{"jti":%q,"at":"2026-03-01T13:00:00.5+01:00","count":1}`, id):    {Token: id, At: at.Add(500 * time.Millisecond), Count: 1},
		fmt.Sprintf(`{"at":%q,"jti":%q,"count":18446744073709551615}`, noon, id):      {Token: id, At: at, Count: 1<<64 - 1}, // the Governor refuses it
		fmt.Sprintf(`{"jti":%q,"at":%q}`, strings.Repeat("A", 43), noon):              {At: at},
		fmt.Sprintf(`{"jti":%q,"at":"0001-01-01T00:00:00Z"}`, strings.Repeat("A", 5)): {},
	} {
		got, err := usesIn(`{"uses":[` + body + `]}`)
		require.NoError(t, err, body)
		require.Len(t, got, 1)
		require.True(t, want.At.Equal(got[0].At), body)
		got[0].At = want.At
		require.Equal(t, want, got[0], body)
	}
}

// noReports are bodies that are no report, with what the sender is told.
var noReports = map[string]string{
	`{}`:                     "uses is missing, empty or too long",
	`[]`:                     "not a JSON object",
	`{"uses":[]}`:            "uses is missing, empty or too long",
	`{"uses":null}`:          "uses is malformed",
	`{"uses":{}}`:            "uses is malformed",
	`{"uses":"x"}`:           "uses is malformed",
	`{"uses":[1]}`:           "uses is malformed",
	`{"uses":[null]}`:        "uses is malformed",
	`{"uses":[[]]}`:          "uses is malformed",
	`{"uses":[{}]}`:          "jti is missing",
	`{"uses":[{}],"more":1}`: "an unknown member",
	`{"uses":[{"jti":"x","at":"` + noon + `"}],"uses":[]}`:                     "not acceptable JSON",
	`{"uses":[{"jti":"x","jti":"y","at":"` + noon + `"}]}`:                     "not acceptable JSON",
	`{"uses":[{"at":"` + noon + `"}]}`:                                         "jti is missing",
	`{"uses":[{"jti":1,"at":"` + noon + `"}]}`:                                 "jti is malformed",
	`{"uses":[{"jti":null,"at":"` + noon + `"}]}`:                              "jti is malformed",
	`{"uses":[{"jti":"x"}]}`:                                                   "at is not a time",
	`{"uses":[{"jti":"x","at":"yesterday"}]}`:                                  "at is not a time",
	`{"uses":[{"jti":"x","at":1772366400}]}`:                                   "at is malformed",
	`{"uses":[{"jti":"x","at":"` + noon + `","count":0}]}`:                     "count is malformed",
	`{"uses":[{"jti":"x","at":"` + noon + `","count":-1}]}`:                    "count is malformed",
	`{"uses":[{"jti":"x","at":"` + noon + `","count":1.5}]}`:                   "count is malformed",
	`{"uses":[{"jti":"x","at":"` + noon + `","count":"2"}]}`:                   "count is malformed",
	`{"uses":[{"jti":"x","at":"` + noon + `","scopes":"a b"}]}`:                "scopes is malformed",
	`{"uses":[{"jti":"x","at":"` + noon + `","scopes":[1]}]}`:                  "scopes is malformed",
	`{"uses":[{"jti":"x","at":"` + noon + `","method":"GET"}]}`:                "an unknown member",
	`{"uses":[` + strings.Repeat(`{"jti":"x","at":"`+noon+`"},`, 1000) + `1]}`: "uses is missing, empty or too long",
}

func TestReadUsesRefuses(t *testing.T) {
	for body, why := range noReports {
		_, err := usesIn(body)
		require.ErrorContains(t, err, why, body)
		require.Equal(t, "invalid_request", exchange.AsError(err).Code, body)
	}
}

// FuzzReadUses requires that what is read is within the bounds and says when.
func FuzzReadUses(f *testing.F) {
	f.Add(fmt.Sprintf(`{"uses":[{"jti":%q,"at":%q,"scopes":["a"],"count":3},{"jti":"x","at":%q}]}`, lineage.ID{7}, noon, noon))
	for body := range noReports {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		uses, err := usesIn(body)
		if err != nil {
			require.Empty(t, uses)
			return
		}
		require.NotEmpty(t, uses)
		require.LessOrEqual(t, len(uses), 1000)
	})
}

// usage is what a lineage answer says of the use of its last record.
func usage(t *testing.T, a answer) any {
	t.Helper()
	records := a.body["records"].([]any)
	return records[len(records)-1].(map[string]any)["usage"]
}

func TestUsageIsReportedAndShown(t *testing.T) {
	s := newServer(t)
	root := s.token("support-bot", "scope", "cases:read cases:write")
	child := s.ok(s.tool(root, "scope", "cases:read")).text("access_token")
	rootID, childID := s.claims(root)["jti"].(string), s.claims(child)["jti"].(string)
	require.Nil(t, usage(t, s.ok(s.get("ops", "/lineage/"+childID))), "control: nothing was reported yet")
	s.clock.Add(10 * time.Second)

	report := fmt.Sprintf(`{"uses":[
		{"jti":%[1]q,"at":"2026-03-01T12:00:05Z","scopes":["cases:read"],"count":3},
		{"jti":%[1]q,"at":"2026-03-01T12:00:08Z"},
		{"jti":%[2]q,"at":"2026-03-01T12:00:05Z"},
		{"jti":"no id","at":"2026-03-01T12:00:05Z"},
		{"jti":%[1]q,"at":"2026-03-01T12:01:00Z"},
		{"jti":%[1]q,"at":"2026-03-01T11:59:00Z"},
		{"jti":%[1]q,"at":"2026-03-01T12:00:05Z","scopes":["cases:write"]}]}`, childID, lineage.ID{9})
	a := s.do("crm", "POST", "/usage", jsonType, report)
	require.Equal(t, 202, a.status, a.raw)
	require.JSONEq(t, fmt.Sprintf(`{"accepted":2,"refused":[{"index":2,"jti":%[2]q,"error":"unknown"},{"index":3,"error":"unknown"},
		{"index":4,"jti":%[1]q,"error":"time"},{"index":5,"jti":%[1]q,"error":"time"},{"index":6,"jti":%[1]q,"error":"scope"}]}`,
		childID, lineage.ID{9}), a.raw)

	var want any
	require.NoError(t, json.Unmarshal([]byte(`[{"resource":"https://crm.example/","first":"2026-03-01T12:00:05Z","last":"2026-03-01T12:00:08Z",
		"count":4,"unscoped":1,"scopes":{"cases:read":{"count":3,"last":"2026-03-01T12:00:05Z"}}}]`), &want))
	require.Equal(t, want, usage(t, s.ok(s.get("ops", "/lineage/"+childID))))
	require.Equal(t, want, usage(t, s.ok(s.get("ops", "/lineage/"+rootID+"/tree"))))
	require.Nil(t, usage(t, s.ok(s.get("ops", "/lineage/"+rootID))), "the use of a token is no use of the one above")
	require.NotContains(t, s.log.String(), "WARN")
}

// TestUsageIsForTheResourceOfTheToken: who is not in the audience learns nothing, and changes nothing.
func TestUsageIsForTheResourceOfTheToken(t *testing.T) {
	s := newServer(t)
	id := s.claims(s.token("support-bot"))["jti"].(string)
	of := func(id string) string { return fmt.Sprintf(`{"uses":[{"jti":%q,"at":%q}]}`, id, noon) }
	there, none := s.do("mail", "POST", "/usage", jsonType, of(id)), s.do("mail", "POST", "/usage", jsonType, of(lineage.ID{1}.String()))
	require.Equal(t, strings.ReplaceAll(none.raw, lineage.ID{1}.String(), id), there.raw)
	require.JSONEq(t, fmt.Sprintf(`{"accepted":0,"refused":[{"index":0,"jti":%q,"error":"unknown"}]}`, id), there.raw)
	for _, client := range []string{"ops", "support-bot"} {
		s.refused(s.do(client, "POST", "/usage", jsonType, of(id)), 403, "unauthorized_client", "")
		s.refused(s.do(client, "POST", "/usage", jsonType, `{`), 403, "unauthorized_client", "")
	}
	s.refused(s.do("", "POST", "/usage", jsonType, of(id)), 401, "invalid_client", "")
	s.refused(s.do("crm", "POST", "/usage", formType, of(id)), 400, "invalid_request", "application/json")
	require.Nil(t, usage(t, s.ok(s.get("ops", "/lineage/"+id))))
	require.Equal(t, 202, s.do("crm", "POST", "/usage", jsonType, of(id)).status, "control")
	require.NotNil(t, usage(t, s.ok(s.get("ops", "/lineage/"+id))))
	s.store.broken.Store(true)
	s.refused(s.do("crm", "POST", "/usage", jsonType, of(id)), 503, "temporarily_unavailable", "")
}

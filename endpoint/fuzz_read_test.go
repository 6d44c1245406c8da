package endpoint

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// FuzzOrder holds that an order to revoke is read as it is written and in no other way, and that nothing approves but the
// one member that says so.
func FuzzOrder(f *testing.F) {
	for _, body := range []string{
		`{"selector":"connection:prod","block":true,"reason":"r"}`, `{"selector":"path:/a","lift":true}`, `{"selector":"subject:alice"}`,
		`{"selector":"subject:a","block":true,"lift":true}`, `{"selector":"subject:a","Block":true}`, `{"selector":"subject:a","block":null}`,
		`{"\u0073elector":"subject:a","selector":"subject:b"}`, `{"approve":true}`, `{"approve":true,"approve":false}`, `{"Approve":true}`, `{"approve":1}`,
		`{"approve":true} `, `{"selector":"token:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`, `{}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var members map[string]any
		plain := json.Unmarshal([]byte(body), &members) == nil
		if order, err := readOrder(r); err == nil {
			require.True(t, plain)
			want := map[string]any{"selector": order.Selector.String()}
			for name, action := range map[string]lineage.Action{"block": lineage.Block, "lift": lineage.Lift} {
				if said, given := members[name]; given {
					want[name] = order.Action == action
					require.Equal(t, said, want[name])
				} else {
					require.NotEqual(t, action, order.Action)
				}
			}
			if said, given := members["reason"]; given {
				require.Equal(t, said, order.Reason)
				want["reason"] = order.Reason
			}
			require.Equal(t, want, members)
		}
		r = httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var agree bool
		read1, err := exchange.ReadObject(r)
		if err == nil {
			err = read(read1, map[string]any{"approve": &agree})
		}
		if err == nil && agree {
			require.Equal(t, map[string]any{"approve": true}, members)
		}
	})
}

// FuzzQuery holds that a position is given once, as a number or as an id in its one spelling, and that nobody waits longer
// than is allowed.
func FuzzQuery(f *testing.F) {
	const id = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
	for _, raw := range []string{
		"", "after=7&wait=30s", "after=7&after=8", "after=9223372036854775808", "after=-1", "after=+1", "wait=2562047h47m16.854775807s", "wait=-1s", "wait=1",
		"after=" + id, "after=" + id + "=", "%61fter=" + id, "after=" + id + "&after=", "a;b", "after=%zz", "after=007", "wait=1h1h1h",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		query, malformed := url.ParseQuery(raw)
		seq, wait, err := feedQuery(raw)
		if err == nil {
			require.NoError(t, malformed)
			require.LessOrEqual(t, len(query["after"]), 1)
			require.Equal(t, strings.TrimLeft(query.Get("after"), "0"), strings.TrimLeft(strconv.FormatUint(seq, 10), "0"))
			require.True(t, wait >= 0 && wait <= time.Minute)
		} else {
			require.True(t, seq == 0 && wait == 0)
		}
		after, err := closureQuery(raw)
		if err == nil {
			require.NoError(t, malformed)
			require.Equal(t, query.Get("after"), idText(after))
		}
	})
}

// idText is the text of an id; the zero id has none.
func idText(id lineage.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

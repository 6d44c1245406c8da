package endpoint_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// TestAFormThatIsNoRequestSpendsTheAssertionAndIsRecorded: whoever answers a client has used up what proved it, also
// where there was nothing to decide.
func TestAFormThatIsNoRequestSpendsTheAssertionAndIsRecorded(t *testing.T) {
	for body, want := range malformed {
		t.Run(want[1], func(t *testing.T) {
			s := newServer(t)
			assertion := pairsOf("client_assertion", s.assertion(), "client_assertion_type", exchange.AssertionType).Encode()
			if want[1] == "too many parameters" { // none of them was read, and so nobody is known
				s.refused(s.do("", "POST", "/token", formType, body+"&"+assertion), 401, "invalid_client", "")
				s.ok(s.do("", "POST", "/token", formType, "grant_type=client_credentials&"+assertion))
				return
			}
			s.refused(s.do("", "POST", "/token", formType, body+"&"+assertion), 400, want[0], want[1])
			records := 0
			for r, err := range s.store.Scan(t.Context(), issuer, lineage.Selector{Kind: lineage.SelectClient, Value: "crm-tool"}, store.Position{}) {
				require.NoError(t, err)
				require.Equal(t, lineage.KindDenial, r.Kind)
				require.Equal(t, want[0], r.Body.Code)
				records++
			}
			require.Equal(t, 1, records)
			good := "grant_type=client_credentials&scope=cases:read&"
			s.refused(s.do("", "POST", "/token", formType, good+assertion), 401, "invalid_client", "")
			fresh := pairsOf("client_assertion", s.assertion(), "client_assertion_type", exchange.AssertionType).Encode()
			s.ok(s.do("", "POST", "/token", formType, good+fresh))
		})
	}
}

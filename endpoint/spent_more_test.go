package endpoint_test

import (
	"fmt"
	"testing"

	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestAnAssertionIsSpentByWhateverIsTold: where a request would change something, its answer is a use, also where that is
// no; where it only reads, it is none.
func TestAnAssertionIsSpentByWhateverIsTold(t *testing.T) {
	task, approval := "/tasks/"+lineage.ID{1}.String(), "/approvals/"+lineage.ID{1}.String()
	for _, c := range []struct {
		client, method, path, kind, body string
		status                           int
		spent                            bool
	}{
		{"crm-tool", "POST", "/signals", jsonType, `{"env":{"x":1}}`, 403, true},
		{"crm-tool", "POST", "/signals", jsonType, `{`, 403, true},
		{"ops-signer", "POST", "/signals", jsonType, `{`, 400, true},
		{"ops-signer", "POST", "/signals", jsonType, `{"env":{"x":1},"y":2}`, 400, true},
		{"crm-tool", "POST", "/revocations", jsonType, `{"selector":"subject:x"}`, 403, true},
		{"ops-signer", "POST", "/revocations", jsonType, `{}`, 400, true},
		{"crm-tool", "POST", "/erasures", jsonType, `{"selector":"subject:x"}`, 403, true},
		{"ops-signer", "POST", "/erasures", jsonType, `{}`, 400, true},
		{"ops-signer", "POST", "/erasures", jsonType, `{"selector":"client:x"}`, 400, true},
		{"crm-tool", "POST", "/tasks/x/complete", "", "", 404, true},
		{"crm-tool", "POST", task + "/complete", "", "", 404, true},
		{"crm-signer", "POST", task + "/suspend", "", "", 403, true},
		{"crm-tool", "POST", approval, jsonType, `{"approve":true}`, 403, true},
		{"ops-signer", "POST", approval, jsonType, `{"approve":true}`, 404, true},
		{"ops-signer", "POST", approval, jsonType, `{"approve":1}`, 400, true},
		{"ops-signer", "POST", approval, jsonType, `{}`, 400, true},
		{"ops-signer", "POST", "/approvals/x", jsonType, `{"approve":true}`, 404, true},
		{"crm-tool", "POST", "/usage", jsonType, `{`, 403, true},
		{"crm-signer", "POST", "/usage", jsonType, `{}`, 400, true},
		{"crm-signer", "POST", "/usage", jsonType, `{"uses":[{"jti":"x","at":"2026-03-01T12:00:00Z","count":5000000000}]}`, 400, true},
		{"crm-tool", "GET", task, "", "", 404, false},
		{"crm-tool", "GET", "/approvals", "", "", 403, false},
	} {
		t.Run(fmt.Sprint(c.client, c.method, c.path, c.body), func(t *testing.T) {
			s := newServer(t)
			once := bearer(s.assertionOf(c.client))
			send := func() answer { return s.do("", c.method, c.path, c.kind, c.body, once) }
			code := map[int]string{400: "invalid_request", 403: "unauthorized_client", 404: "invalid_request"}[c.status]
			s.refused(send(), c.status, code, "")
			if c.spent {
				s.refused(send(), 401, "invalid_client", "")
				return
			}
			s.refused(send(), c.status, code, "")
		})
	}
}

// TestAFormWithoutATokenSpendsTheAssertion: nothing is revoked, and the client has been answered.
func TestAFormWithoutATokenSpendsTheAssertion(t *testing.T) {
	s := newServer(t)
	as := []string{"client_assertion", s.assertion(), "client_assertion_type", exchange.AssertionType}
	s.refused(s.post("", "/revoke", as...), 400, "invalid_request", "")
	s.refused(s.post("", "/revoke", append(as, "token", "x")...), 401, "invalid_client", "")
	as[1] = s.assertion()
	s.ok(s.post("", "/revoke", append(as, "token", "x")...)) // positive control
}

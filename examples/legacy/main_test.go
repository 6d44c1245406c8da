package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheAgentNeverHasTheKey(t *testing.T) {
	var out bytes.Buffer
	run(t.Context(), &out)
	require.Equal(t, `the token at the system itself:
	401 no key
the token at the proxy:
	200 served GET /invoices/7, Authorization ""
what the task may not do:
	403 {"error":"insufficient_scope","error_description":"The access token lacks a scope"}
what has no route:
	403 {"error":"access_denied","error_description":"The request is not among those that are allowed"}
a guessed key at the proxy:
	401 {"error":"invalid_request","error_description":"No access token is presented"}
after the task is complete:
	401 {"error":"invalid_token","error_description":"The access token is not acceptable"}
`, out.String())
}

package mcp_test

import (
	"encoding/json"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/stretchr/testify/require"

	governed "github.com/tokenboundary/tokenboundary/hosts/mcp"
)

// What the SDK reads as one message with an id can be refused in a way that it understands as the answer to it; and of
// what is no JSON nothing is known.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		calls("read"), `{"jsonrpc":"2.0","id":"a","method":"tools/list"}`, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `[` + calls("read") + `]`, `{"id":{},"method":"x"}`, `{"id":-1,"method":"tools/call","params":{"name":7}}`,
		`{"method":"tools/call","Method":"ping","id":null,"params":[]}`, ``, `null`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		method, tool, id := governed.Read(body)
		if method != "tools/call" {
			require.Empty(t, tool)
		}
		if len(id) == 0 {
			return
		}
		require.NotEmpty(t, body)
		answer := governed.RPCError(id, []byte(`{"error":"invalid_token","error_description":"no"}`))
		require.True(t, json.Valid(answer))
		msg, err := jsonrpc.DecodeMessage(body)
		req, ok := msg.(*jsonrpc.Request)
		if err != nil || !ok || !req.IsCall() || method != req.Method {
			return
		}
		said, err := jsonrpc.DecodeMessage(answer)
		require.NoError(t, err)
		resp, ok := said.(*jsonrpc.Response)
		require.True(t, ok)
		require.ErrorContains(t, resp.Error, "invalid_token: no")
	})
}

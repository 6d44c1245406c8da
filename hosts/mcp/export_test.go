package mcp

import (
	"bytes"
	"encoding/json"
)

// Read is read, for its fuzz target.
func Read(body []byte) (method, tool string, id json.RawMessage) {
	a, id := read(bytes.NewReader(body))
	return a.method, a.tool, id
}

// RPCError is rpcError, for the same.
var RPCError = rpcError

package mcp

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// refusal is an answer of verify.Verifier.Require that is not sent yet. It shares the header of what it will be sent to.
type refusal struct {
	header http.Header
	not    bool // the request was let through
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *refusal) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *refusal) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *refusal) Write(p []byte) (int, error) { return r.body.Write(p) }

// send answers. A call, which has an id, is answered with a JSON-RPC error: to a client that finds none in an answer that
// is not a success, its whole connection is broken.
func (r *refusal) send(w http.ResponseWriter, id json.RawMessage) {
	if r.not {
		return
	}
	body := r.body.Bytes()
	if len(id) > 0 {
		w.Header().Set("Content-Type", "application/json")
		body = rpcError(id, body)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(body) // the client is gone if this fails
}

// rpcError is the JSON-RPC error for the answer to a request with an id.
func rpcError(id json.RawMessage, answer []byte) []byte {
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	text := "unauthorized: no access token"
	if json.Unmarshal(answer, &said) == nil && said.Error != "" {
		text = said.Error + ": " + said.Description
	}
	body, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "error": refused(text)}) // an id that was read
	return body
}

func refused(text string) *jsonrpc.Error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: text}
}

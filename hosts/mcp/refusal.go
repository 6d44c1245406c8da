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
	not    bool // the request was let through, or is answered
	unread bool // it has a message that was not read
	id     json.RawMessage
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
// is not a success, its whole connection is broken. To what was not read, the error has no id.
func (r *refusal) send(w http.ResponseWriter) {
	if r.not {
		return
	}
	body := r.body.Bytes()
	if len(r.id) > 0 || r.unread && len(body) > 0 {
		w.Header().Set("Content-Type", "application/json")
		body = rpcError(r.id, body)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(body) // the client is gone if this fails
}

// rpcError is the JSON-RPC error for the answer to a request with an id, or with one that is not known.
func rpcError(id json.RawMessage, answer []byte) []byte {
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	text := "unauthorized: no access token"
	if json.Unmarshal(answer, &oauth) == nil && oauth.Error != "" {
		text = oauth.Error + ": " + oauth.Description
	}
	said := map[string]any{"jsonrpc": "2.0", "error": refused(text)}
	if len(id) > 0 {
		said["id"] = id
	}
	body, _ := json.Marshal(said) // an id that was read
	return body
}

func refused(text string) *jsonrpc.Error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: text}
}

package mcp

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// action is what a request wants to be done. It is zero for whatever is no message with a method: an answer, a GET, a batch.
type action struct {
	method string
	tool   string // of tools/call
}

// message is as much of a JSON-RPC message as says what it takes.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name json.RawMessage `json:"name"`
	} `json:"params"`
}

// read reads a message. What it does not understand is the zero action: who acts on it otherwise is refused.
func read(body io.Reader) (a action, id json.RawMessage) {
	var m message
	if json.NewDecoder(body).Decode(&m) != nil {
		return action{}, nil
	}
	a.method = m.Method
	if m.Method == callTool && json.Unmarshal(m.Params.Name, &a.tool) != nil {
		return action{}, nil
	}
	if len(m.ID) == 0 || len(m.ID) > 256 || m.ID[0] != '"' && (m.ID[0] < '0' || m.ID[0] > '9') && m.ID[0] != '-' {
		return a, nil // a notification, or nothing that could be answered
	}
	return a, m.ID
}

// sent returns what a request of ours says. Only a POST says anything.
func sent(r *http.Request) (action, error) {
	switch {
	case r.Method != http.MethodPost:
		return action{}, nil
	case r.GetBody == nil:
		return action{}, errors.New("its body can be read only once")
	}
	body, err := r.GetBody()
	if err != nil {
		return action{}, err
	}
	defer body.Close() //nolint:errcheck // read only
	a, _ := read(body)
	return a, nil
}

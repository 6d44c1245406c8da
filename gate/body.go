package gate

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// decode reads a call that can be understood in one way only.
func decode(c Codec, body []byte) (Call, error) {
	if err := unambiguous(body); err != nil {
		return Call{}, err
	}
	call, err := c.Decode(body)
	if err == nil && call.Recording == nil && call.Answer == nil {
		err = errors.New("the call has no answer")
	}
	return call, err
}

// maxBody bounds the body of a call, and maxContentType the header that says what it is, in bytes.
const (
	maxBody        = 1 << 20
	maxContentType = 256
)

func readBody(r *http.Request) ([]byte, error) {
	header := r.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(header[:min(len(header), maxContentType)])
	switch {
	case err != nil || len(header) > maxContentType || kind != "application/json":
		return nil, problem(http.StatusUnsupportedMediaType, "the body must be application/json")
	case r.ContentLength > maxBody:
		return nil, problem(http.StatusRequestEntityTooLarge, "the body is too large")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, problem(http.StatusBadRequest, "the body could not be read")
	case len(body) > maxBody:
		return nil, problem(http.StatusRequestEntityTooLarge, "the body is too large")
	}
	return body, nil
}

func problem(status int, why string) error {
	return &exchange.Error{Code: string(tokenboundary.CodeInvalidRequest), Description: why, Status: status}
}

// write sends the answer.
func (a Answer) write(w http.ResponseWriter) {
	exchange.Headers(w.Header())
	if a.Body == nil {
		w.Header().Del("Content-Type")
		w.WriteHeader(a.Status)
		return
	}
	body, err := json.Marshal(a.Body)
	if err != nil { // of a codec that is not ours
		a.Status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(body) // the server is gone if this fails
}

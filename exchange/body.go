package exchange

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// ReadForm reads the form in the body of r and nothing else: parameters in its URL do not count. An error is an
// *Error; the Form then holds what could be read without doubt, so that the sender can still be authenticated before
// it is told.
func ReadForm(r *http.Request) (Form, error) {
	kind, params, err := contentType(r)
	charset, given := params["charset"]
	switch {
	case r.ContentLength > canon.MaxBody:
		return Form{}, tooLarge()
	case err != nil, kind != "application/x-www-form-urlencoded", given && !strings.EqualFold(charset, "utf-8"):
		return Form{}, invalid("the body must be application/x-www-form-urlencoded")
	}
	return ParseForm(r.Body)
}

// ReadObject reads the JSON object in the body of r, at most 256 KiB of it, and returns its members. Duplicate members,
// anything behind the object, and another content type are refused. An error is an *Error.
func ReadObject(r *http.Request) (map[string]json.RawMessage, error) {
	if kind, _, err := contentType(r); err != nil || kind != "application/json" {
		return nil, invalid("the body must be application/json")
	}
	text, err := readBody(r.Body)
	if err != nil {
		return nil, err
	}
	list, err := canon.Object([]byte(text))
	if err != nil {
		return nil, invalid("the body is " + err.Error())
	}
	members := make(map[string]json.RawMessage, len(list))
	for _, m := range list {
		members[m.Name] = m.Value
	}
	return members, nil
}

// PresentedToken returns the parameter of introspection and revocation that holds a token (RFC 7662, section 2.1; RFC
// 7009, section 2.1). An error is an *Error.
func PresentedToken(f Form) (string, error) {
	token := f.Get("token")
	switch {
	case token == "":
		return "", invalid("token is missing")
	case len(token) > canon.MaxToken:
		return "", invalid("token is too long")
	}
	return token, nil
}

// maxContentType bounds a Content-Type header, in bytes. Parsing one costs many times its length.
const maxContentType = 256

// contentType returns the type of the body of r, and its parameters.
func contentType(r *http.Request) (kind string, params map[string]string, err error) {
	header := r.Header.Get("Content-Type")
	if len(header) > maxContentType {
		return "", nil, errors.New("too long")
	}
	return mime.ParseMediaType(header)
}

// A body is read in pieces. One that is no longer than the first piece, as nearly all are, takes no more memory than it has
// bytes; any other goes into memory that grows eightfold, to the size of the largest body.
const firstSize = 4 << 10

// pieces are what bodies are read into. They hold nothing of a body that was read.
var pieces = sync.Pool{New: func() any { return new([firstSize]byte) }}

// readBody reads a body of at most canon.MaxBody bytes. It takes memory as the body arrives, whatever length was announced.
func readBody(body io.Reader) (string, error) {
	piece := pieces.Get().(*[firstSize]byte)
	defer func() {
		clear(piece[:])
		pieces.Put(piece)
	}()
	var out strings.Builder
	for have := 0; ; {
		n, err := body.Read(piece[have:])
		have += n
		if out.Len()+have > canon.MaxBody {
			return "", tooLarge()
		}
		switch {
		case err == nil && have < len(piece):
			continue
		case errors.Is(err, io.EOF) && out.Len() == 0: // and not io.ErrUnexpectedEOF, which says that there should be more
			return string(piece[:have]), nil
		case err != nil && !errors.Is(err, io.EOF):
			return "", unreadable(err)
		}
		if size := out.Cap(); out.Len()+have > size {
			out.Grow(max(8*firstSize, min(6*size, canon.MaxBody-2*size))) // which Grow adds to twice what there is
		}
		out.Write(piece[:have])
		if have = 0; err != nil {
			return out.String(), nil
		}
	}
}

func unreadable(err error) error {
	var tooMany *http.MaxBytesError
	if errors.As(err, &tooMany) {
		return tooLarge()
	}
	return invalid("the body could not be read")
}

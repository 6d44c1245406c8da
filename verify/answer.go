package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Bounds of answers of the boundary. An entry of the feed has at most a selector, which is a name, and numbers: in the
// escaped form of JSON, some 4 KiB.
const (
	maxPage   = 1000 // entries of the feed in one answer
	maxFeed   = 4 << 20
	maxAnswer = 256 << 10
)

var errAnswer = errors.New("not an answer of a boundary")

// readAnswer returns the body of a successful answer, and the error that any other stands for.
func readAnswer(resp *http.Response, most int64) ([]byte, error) {
	switch status := resp.StatusCode; {
	case status == http.StatusOK, status == http.StatusAccepted:
	case status == http.StatusUnauthorized:
		return nil, tokenboundary.ErrUnauthenticated
	case status == http.StatusForbidden:
		return nil, tokenboundary.ErrForbidden
	case status == http.StatusGone:
		return nil, tokenboundary.ErrGone
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: verify: the boundary answers with status %d", tokenboundary.ErrInvalid, status)
	default:
		err := &tokenboundary.UnavailableError{Err: fmt.Errorf("verify: the boundary answers with status %d", status)}
		if n, bad := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); bad == nil {
			err.RetryAfter = time.Duration(n) * time.Second
		}
		return nil, err
	}
	if most == 0 {
		most = maxAnswer
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" {
		return nil, away("answer", errAnswer)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return nil, away("the answer broke off", err)
	case int64(len(body)) > most:
		return nil, away("answer", errors.New("too long"))
	}
	return body, nil
}

// readFeed reads {"entries":[…]}. A member that is missing is no empty feed, and an entry that is not understood is no
// entry that can be left out.
func readFeed(body []byte) ([]lineage.Revocation, error) {
	var out struct {
		Entries []lineage.Revocation `json:"entries"`
	}
	if json.Unmarshal(body, &out) != nil || out.Entries == nil || len(out.Entries) > maxPage {
		return nil, away("feed", errAnswer)
	}
	for i, r := range out.Entries {
		switch {
		case r.Check() != nil || r.Seq == 0 || r.Before.IsZero():
			return nil, away("feed", errAnswer)
		case i > 0 && r.Seq != out.Entries[i-1].Seq+1:
			return nil, fmt.Errorf("%w: entry %d after %d", errFeed, r.Seq, out.Entries[i-1].Seq)
		}
	}
	return out.Entries, nil
}

// readState reads the answer of introspection (RFC 7662, section 2.2).
func readState(body []byte) (tokenboundary.State, error) {
	var out struct {
		Active *bool `json:"active"`
		tokenboundary.Claims
	}
	switch {
	case json.Unmarshal(body, &out) != nil || out.Active == nil:
		return tokenboundary.State{}, away("introspection", errAnswer)
	case !*out.Active:
		return tokenboundary.State{}, nil
	}
	return tokenboundary.State{Active: true, Claims: out.Claims}, nil
}

func readReceipt(body []byte) (out tokenboundary.UsageReceipt, err error) {
	if json.Unmarshal(body, &out) != nil {
		return tokenboundary.UsageReceipt{}, away("usage", errAnswer)
	}
	return out, nil
}

// writeUses writes {"uses":[{"jti","at","scopes","count"}, …]}.
func writeUses(uses []tokenboundary.Use) ([]byte, error) {
	type entry struct {
		Token  lineage.ID `json:"jti"`
		At     time.Time  `json:"at"`
		Scopes []string   `json:"scopes,omitempty"`
		Count  uint64     `json:"count,omitempty"`
	}
	out := make([]entry, len(uses))
	for i, u := range uses {
		out[i] = entry{u.Token, u.At.UTC(), u.Scopes, u.Count}
	}
	return json.Marshal(map[string]any{"uses": out})
}

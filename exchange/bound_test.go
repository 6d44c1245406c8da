package exchange_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

const formType = "application/x-www-form-urlencoded"

// TestABodyIsReadInWhateverPiecesItComes: up to the bound, whole, and not a byte beyond it.
func TestABodyIsReadInWhateverPiecesItComes(t *testing.T) {
	for _, size := range []int{3, 2 << 10, 4<<10 - 1, 4 << 10, 32<<10 + 1, 256 << 10, 256<<10 + 1} {
		text := "a=" + strings.Repeat("x", size-2)
		for name, slow := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "by byte": iotest.OneByteReader, "by halves": iotest.HalfReader,
			"with its end": iotest.DataErrReader,
		} {
			f, err := exchange.ParseForm(slow(strings.NewReader(text)))
			if size > 256<<10 {
				require.Equal(t, 413, status(t, err), "%d %s", size, name)
				continue
			}
			require.NoError(t, err, "%d %s", size, name)
			require.Equal(t, text[2:], f.Get("a"), "%d %s", size, name)
		}
	}
}

func TestABodyThatBreaksOffIsNoForm(t *testing.T) {
	for name, end := range map[string]error{"short": io.ErrUnexpectedEOF, "fault": errors.New("reset"), "timeout": iotest.ErrTimeout} {
		t.Run(name, func(t *testing.T) {
			f, err := exchange.ParseForm(io.MultiReader(strings.NewReader("scope=a"), iotest.ErrReader(end)))
			require.Equal(t, 400, status(t, err))
			require.ErrorContains(t, err, "could not be read")
			require.False(t, f.Has("scope"))
		})
	}
	limited := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader("scope=a")), 3)
	_, err := exchange.ParseForm(limited)
	require.Equal(t, 413, status(t, err), "a host's own bound says the same")
}

func TestALongContentTypeIsNotParsed(t *testing.T) {
	for name, kind := range map[string]struct {
		text string
		ok   bool
	}{
		"plain":      {formType, true},
		"charset":    {formType + `; charset="UTF-8"`, true},
		"the bound":  {formType + ";a=" + strings.Repeat("b", 256-len(formType)-3), true},
		"one beyond": {formType + ";a=" + strings.Repeat("b", 257-len(formType)-3), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/token", strings.NewReader("scope=a"))
			r.Header.Set("Content-Type", kind.text)
			f, err := exchange.ReadForm(r)
			if kind.ok {
				require.NoError(t, err)
				require.Equal(t, "a", f.Get("scope"))
				return
			}
			require.ErrorContains(t, err, "must be "+formType)
		})
	}
}

// TestDetailsAreBoundedByTheirLength, however many entries or members that is.
func TestDetailsAreBoundedByTheirLength(t *testing.T) {
	const room = canon.MaxDetails - len("[]")
	fill := func(entry string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(entry+",", room/(len(entry)+1)), ",") + "]"
	}
	for name, details := range map[string]string{
		"entries":        fill(`{"type":"t"}`),
		"larger entries": fill(`{"actions":["read"],"identifier":"d","type":"doc"}`),
		"members":        `[{"list":[{"a":0}` + strings.Repeat(`,{"a":0}`, 4000) + `],"type":"t"}]`,
		"a text of JSON": `[{"note":"` + strings.Repeat(`\"k\":1,`, 3000) + `","type":"doc"}]`,
		"a long list":    `[{"list":[0` + strings.Repeat(",0", 10_000) + `],"type":"t"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(details), canon.MaxDetails)
			req, err := exchange.Parse(form(t, url.Values{"grant_type": {"client_credentials"}, "authorization_details": {details}}))
			require.NoError(t, err)
			require.JSONEq(t, details, string(req.Details))
		})
	}
	_, err := exchange.Parse(form(t, url.Values{"grant_type": {"client_credentials"}, "authorization_details": {strings.Repeat("[", canon.MaxDetails+1)}}))
	require.ErrorContains(t, err, "too long")
	require.ErrorContains(t, err, "invalid_authorization_details")
}

// status returns the status that an *exchange.Error is answered with.
func status(t *testing.T, err error) int {
	t.Helper()
	require.Error(t, err)
	w := httptest.NewRecorder()
	exchange.AsError(err).Write(w)
	return w.Code
}

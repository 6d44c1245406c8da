package tokenboundary

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// scrub returns the error of a plug-in, or one of the same meaning where its text repeats any of the credential.
func scrub(err error, c Credential) error {
	if !repeats(err.Error(), c.Value) {
		return err
	}
	why := errors.New(strings.ReplaceAll(err.Error(), c.Value, "…"))
	if repeats(why.Error(), c.Value) {
		why = errors.New("the error of an identity source repeats the credential")
	}
	if !errors.Is(err, ErrUnavailable) {
		return why
	}
	out := &UnavailableError{time.Second, why}
	var u *UnavailableError
	if errors.As(err, &u) {
		out.RetryAfter = u.RetryAfter
	}
	return out
}

// scrubbed returns the text of scrub; empty where nothing is wrong.
func scrubbed(err error, c Credential) string {
	if err == nil {
		return ""
	}
	return scrub(err, c).Error()
}

// longText is how long the text of an error may be, in bytes, to be kept.
const longText = 1 << 10

// telling is how many bytes of a credential in a row give it away.
const telling = 12

// repeats reports whether a text has a piece of a secret in it, in any spelling that programs have for it.
func repeats(text, secret string) bool {
	switch {
	case len(secret) > canon.MaxToken: // which no plug-in was given
		return false
	case len(text) > longText: // nobody looks through that
		return true
	case secret == "":
		return false
	}
	n := min(telling, len(secret))
	words := []string{text}
	if !strings.Contains(secret, " ") { // a piece of it then lies within a word; in most errors, none is so long
		words = strings.Split(text, " ")
	}
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) < n })
	if len(words) == 0 {
		return false
	}
	spelt := spellings(secret)
	found := func(w string) bool {
		for i := range len(w) - n + 1 {
			if slices.ContainsFunc(spelt, func(s string) bool { return strings.Contains(s, w[i:i+n]) }) {
				return true
			}
		}
		return false
	}
	urlSafe := strings.NewReplacer("+", "-", "/", "_") // from one alphabet of base64 to that of the spellings
	return slices.ContainsFunc(words, func(w string) bool { return found(w) || found(urlSafe.Replace(w)) })
}

// spellings returns what programs make of a secret, base64 at every offset that it may stand at.
func spellings(secret string) []string {
	out := []string{secret, url.QueryEscape(secret), strconv.Quote(secret), hex.EncodeToString([]byte(secret))}
	for offset := range 3 {
		out = append(out, base64.RawURLEncoding.EncodeToString(append(make([]byte, offset), secret...)))
	}
	return out
}

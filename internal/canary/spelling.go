package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	prefix = 12 // bytes by which a spelling is looked up; nothing shorter is searched for
	window = 16 // bytes of a part
)

// spellings returns everything that gives a secret away, without repeats. What is shorter than a prefix is left out.
func spellings(secret string) []string {
	var out []string
	for _, part := range append([]string{secret}, parts(secret)...) {
		out = append(out, written(part)...)
		out = append(out, encoded(part)...)
		if escaped := url.QueryEscape(part); escaped != part { // as it stands in a Basic header
			out = append(out, encoded(escaped)...)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return len(s) < prefix })
}

// parts returns pieces of a secret that nothing else has: of the signature of a JWS, and of the end of another long one,
// which may begin with a name.
func parts(secret string) []string {
	segments := strings.Split(secret, ".")
	tail := ""
	switch {
	case len(segments) == 3 && strings.HasPrefix(secret, "ey"):
		tail = segments[2]
	case len(secret) >= 4*window && len(segments) == 1:
		tail = secret[len(secret)-5*window/2:]
	}
	var out []string
	for ; len(tail) >= window; tail = tail[window:] {
		out = append(out, tail[:window])
	}
	if tail != "" && len(out) > 0 {
		out = append(out, secret[len(secret)-window:])
	}
	return out
}

// written returns a text as it is, and as programs escape it.
func written(s string) []string {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)
	html, _ := json.Marshal(s)
	quoted := []string{strings.TrimSuffix(plain.String(), "\n"), string(html), strconv.Quote(s), strconv.QuoteToASCII(s)}
	out := []string{s, url.QueryEscape(s), url.PathEscape(s)}
	for _, q := range quoted {
		out = append(out, q[1:len(q)-1])
	}
	twice, _ := json.Marshal(string(html)) // JSON inside of JSON
	return append(out, strings.Trim(string(twice), `"\`))
}

// encoded returns a text in hexadecimal, and in base64 as far as that does not depend on what stands around it.
func encoded(s string) []string {
	h := hex.EncodeToString([]byte(s))
	out := []string{h, strings.ToUpper(h)}
	for offset, skip := range []int{0, 2, 3} {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := e.EncodeToString(append(make([]byte, offset), s...))
			if (offset+len(s))%3 != 0 {
				text = text[:len(text)-1]
			}
			out = append(out, text[min(skip, len(text)):])
		}
	}
	return out
}

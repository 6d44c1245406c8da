package broker

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxTarget bounds the path and the query of a request together, in bytes.
const maxTarget = 8 << 10

// target is what a request asks for, as it was sent: what is decided on, and what is forwarded.
type target struct {
	method string
	raw    string // path and query
	path   string // in its one spelling
	query  string
}

var (
	errTarget = errors.New("the target of the request has to be a path, of at most 8 KiB with the query")
	errPath   = errors.New("the path has to be in its one plain spelling")
	errQuery  = errors.New("the query is malformed, or names a method or a token")
)

// readTarget reads the target of a request line (RFC 9112, section 3.2): its origin form and no other.
func readTarget(method, raw string) (target, error) {
	if len(raw) > maxTarget || !strings.HasPrefix(raw, "/") {
		return target{}, errTarget
	}
	path, query, _ := strings.Cut(raw, "?")
	if err := checkPath(path); err != nil {
		return target{}, err
	}
	return target{method, raw, path, query}, checkQuery(query)
}

// url returns what RequestURI writes as the target.
func (t target) url(scheme, host string) (*url.URL, error) {
	path, err := url.PathUnescape(t.path)
	if err != nil {
		return nil, errPath
	}
	u := &url.URL{Scheme: scheme, Host: host, Path: path, RawPath: t.path, RawQuery: t.query, ForceQuery: t.query == "" && len(t.raw) > len(t.path)}
	if u.RequestURI() != t.raw { // what was decided is what is forwarded
		return nil, errPath
	}
	return u, nil
}

// lookalikes are what some systems take for one of / \ . % ; after they have normalised a path (NFKC).
const lookalikes = "／＼﹨．﹒․‥…％﹪；﹔\u037e\u2100\u2101\u2105\u2106\ufe14\ufe19\ufe30"

// checkPath refuses every path that could be read in two ways: an encoding where none is needed, or in small letters; an
// encoded delimiter; a segment of dots, or an empty one that is not the last; what is not UTF-8.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errPath
	}
	start, encoded := 1, false
	for i := 1; i <= len(path); i++ {
		switch {
		case i == len(path) || path[i] == '/':
			if s := path[start:i]; s == "" && i < len(path) || s != "" && onlyDots(s) {
				return errPath
			}
			start = i + 1
		case path[i] == '%':
			if !needsEncoding(path[i:]) {
				return errPath
			}
			encoded = true
			i += 2
		case !plain(path[i]):
			return errPath
		}
	}
	if !encoded {
		return nil
	}
	text, err := url.PathUnescape(path)
	if err != nil || !utf8.ValidString(text) || strings.ContainsAny(text, lookalikes) {
		return errPath
	}
	return nil
}

// plain reports whether a byte stands in a segment as itself (RFC 3986, section 3.3). Of those that may, the semicolon is
// none here: it begins parameters that some systems cut off.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~!$&'()*+,=:@", c) >= 0
}

// needsEncoding reports whether s begins with an encoded byte that cannot stand as itself, and delimits nothing.
func needsEncoding(s string) bool {
	if len(s) < 3 {
		return false
	}
	const upper = "0123456789ABCDEF"
	high, low := strings.IndexByte(upper, s[1]), strings.IndexByte(upper, s[2])
	if high < 0 || low < 0 {
		return false
	}
	c := byte(high<<4 | low)
	return c >= ' ' && c != 0x7f && !plain(c) && strings.IndexByte(`/\%;?#`, c) < 0
}

// onlyDots reports whether a segment is a dot segment (RFC 3986, section 3.3), or becomes one where spaces are cut off.
func onlyDots(s string) bool {
	if s[0] != '.' && s[0] != '%' {
		return false
	}
	return strings.Trim(strings.ReplaceAll(s, "%20", ""), ".") == ""
}

// checkQuery refuses a query that could be split in two ways, and one that names another method or a token. Nothing else in
// a query is looked at.
func checkQuery(query string) error {
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case c <= ' ' || c >= 0x7f || strings.IndexByte(`;#\`, c) >= 0:
			return errQuery
		case c == '%':
			if i+2 >= len(query) || !hex(query[i+1]) || !hex(query[i+2]) {
				return errQuery
			}
			i += 2
		}
	}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(name, "%+") {
			name, _ = url.QueryUnescape(name)
		}
		if tricky(name) {
			return errQuery
		}
	}
	return nil
}

// tricky reports whether a system may take the name of a parameter for one of tricks: some cut it off where a bracket or a control
// character begins, and take a space or a dot for an underscore.
func tricky(name string) bool {
	if i := strings.IndexFunc(name, func(r rune) bool { return r == '[' || r < ' ' }); i >= 0 {
		name = name[:i]
	}
	name = strings.NewReplacer(" ", "_", ".", "_", "-", "_").Replace(strings.Trim(name, " "))
	return slices.ContainsFunc(tricks, func(trick string) bool { return strings.EqualFold(trick, name) })
}

func hex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

// tricks are parameters by which some systems take another method than that of the request, or a token.
var tricks = []string{
	"_method", "x_http_method_override", "x_http_method", "x_method_override", "httpmethod", "$httpmethod", "access_token",
}

// overrides are headers by which some systems take another method, path or protocol than those of the request.
var overrides = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url", "Upgrade",
}

var errOverride = errors.New("a header asks for another method, path or protocol")

// checkOverrides refuses a request that could be taken for another one.
func checkOverrides(h http.Header) error {
	for _, name := range overrides {
		if _, found := h[name]; found {
			return errOverride
		}
	}
	return nil
}

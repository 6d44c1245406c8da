package exchange

import (
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// The parameters, and the header, that this package and its callers read. A description names only one of these, never
// what a sender made up.
var parameters = []string{
	"grant_type", "resource", "audience", "scope", "connection", "authorization_details", "requested_token_type",
	"subject_token", "subject_token_type", "actor_token", "actor_token_type", "refresh_token", "deferral_code", "completion_mode",
	"client_id", "client_secret", "client_assertion", "client_assertion_type", "token", "token_type_hint",
	headerProof,
}

// maxParameters bounds the number of parameters in a form.
const maxParameters = 128

// Form is a request body of type application/x-www-form-urlencoded. The zero Form has no parameters. It holds
// credentials and hides them in logs and in fmt.
type Form struct{ values map[string][]string }

// Get returns the value of a parameter, or the empty string where it is absent. Of one that may repeat it is the first.
func (f Form) Get(name string) string {
	if v := f.values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// All returns the values of a parameter that may repeat, in the order in which they came.
func (f Form) All(name string) []string { return slices.Clone(f.values[name]) }

// Has reports whether the parameter is there with a value.
func (f Form) Has(name string) bool { return len(f.values[name]) > 0 }

// Without returns a form that has all but one parameter: for a server that answers for it by itself, where Parse knows no
// meaning of it.
func (f Form) Without(name string) Form {
	values := maps.Clone(f.values)
	delete(values, name)
	return Form{values}
}

// String hides the content.
func (f Form) String() string { return "form" }

// GoString hides the content.
func (f Form) GoString() string { return f.String() }

// ParseForm reads a form of at most 256 KiB. Names and values must be UTF-8, and no parameter may repeat except
// resource and audience (RFC 6749, section 3.2; RFC 8693, section 2.1). A parameter without a value counts as omitted.
//
// An error is an *Error, of status 413 for a body that is too large. The Form that comes with it holds what could be
// read without doubt: neither a parameter that is malformed nor one that repeats is in it.
func ParseForm(body io.Reader) (Form, error) {
	text, err := readBody(body)
	if err != nil {
		return Form{}, err
	}
	if strings.Count(text, "&") >= maxParameters {
		return Form{}, invalid("too many parameters")
	}
	return parsePairs(text)
}

func parsePairs(text string) (Form, error) {
	f := Form{values: map[string][]string{}}
	seen := map[string]bool{}
	var first error
	note := func(e error) {
		if first == nil {
			first = e
		}
	}
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		name, value, err := parsePair(pair)
		switch {
		case err != nil:
			note(err)
			continue
		case seen[name] && name != "resource" && name != "audience":
			delete(f.values, name)
			note(invalid(about(name, "must not repeat")))
			continue
		}
		seen[name] = true
		if value != "" {
			f.values[name] = append(f.values[name], value)
		}
	}
	return f, first
}

func parsePair(pair string) (name, value string, err error) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	name, badName := unescaped(rawName)
	if badName != nil || !utf8.ValidString(name) {
		return "", "", invalid("a parameter name is malformed")
	}
	value, badValue := unescaped(rawValue)
	// A raw semicolon separates parameters for some readers and not for others.
	if badValue != nil || !utf8.ValidString(value) || strings.Contains(pair, ";") {
		return "", "", invalid(about(name, "is malformed"))
	}
	return name, value, nil
}

// unescaped is url.QueryUnescape, and quick where there is nothing to do: the longest values are tokens.
func unescaped(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// about returns a sentence on a parameter, by name if it is one of ours.
func about(name, what string) string {
	if slices.Contains(parameters, name) {
		return name + " " + what
	}
	return "a parameter " + what
}

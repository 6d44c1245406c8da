package broker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// injection is a header that is made of a credential.
type injection struct {
	header string
	texts  []string // one more than there are names
	names  []string // of the values between the texts
	basic  bool     // user name and password (RFC 7617)
}

var errInject = errors.New("the credential does not fit into the headers that are made of it")

// readInjections reads templates by the names of headers.
func readInjections(in map[string]string) ([]injection, error) {
	var out []injection
	for name, template := range in {
		header := textproto.CanonicalMIMEHeaderKey(name)
		if !isToken(header) || slices.Contains(never, header) && header != "Authorization" && header != "Cookie" {
			return nil, fmt.Errorf("broker: ProxyConfig.Inject[%q] is no header that can be injected", name)
		}
		i, err := readTemplate(template)
		if err != nil {
			return nil, fmt.Errorf("broker: ProxyConfig.Inject[%q] %w", name, err)
		}
		if slices.ContainsFunc(out, func(other injection) bool { return other.header == header }) {
			return nil, fmt.Errorf("broker: ProxyConfig.Inject[%q] is there twice", name)
		}
		i.header = header
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b injection) int { return strings.Compare(a.header, b.header) })
	return out, nil
}

// readTemplate reads a text with names of values in braces.
func readTemplate(template string) (injection, error) {
	rest, basic := strings.CutPrefix(template, "Basic ")
	if !basic {
		rest = template
	}
	i := injection{basic: basic}
	for {
		text, after, more := strings.Cut(rest, "{")
		if strings.Contains(text, "}") || !isFieldText(text) {
			return i, errors.New("is malformed")
		}
		i.texts = append(i.texts, text)
		if !more {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return i, errors.New("is malformed")
		}
		i.names, rest = append(i.names, name), after
	}
	switch {
	case len(i.names) == 0:
		return i, errors.New("names no value of the credential")
	case basic && (len(i.names) != 2 || !slices.Equal(i.texts, []string{"", ":", ""})):
		return i, errors.New("must be Basic {…}:{…}, which is encoded")
	}
	return i, nil
}

// render returns the header's value. What of it is secret is appended to secrets.
func (i injection) render(s Secret, secrets []string) (string, []string, error) {
	var b strings.Builder
	for n, name := range i.names {
		value := s.Value(name)
		if value == "" || !i.basic && !isFieldText(value) || i.basic && n == 0 && strings.Contains(value, ":") {
			return "", secrets, errInject
		}
		b.WriteString(i.texts[n])
		b.WriteString(value)
		if !i.basic || n == 1 { // a user name is none
			secrets = append(secrets, value)
		}
	}
	b.WriteString(i.texts[len(i.names)])
	if !i.basic {
		return b.String(), secrets, nil
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(b.String()))
	return "Basic " + encoded, append(secrets, encoded), nil
}

// inject puts a credential into headers, and returns what of it must not come back.
func inject(all []injection, s Secret, h http.Header) (secrets []string, err error) {
	for _, i := range all {
		var value string
		if value, secrets, err = i.render(s, secrets); err != nil {
			return nil, err
		}
		h[i.header] = []string{value}
	}
	return secrets, nil
}

// isFieldText reports whether s can stand in the value of a header (RFC 9110, section 5.5).
func isFieldText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// isToken reports whether s can be the name of a header (RFC 9110, section 5.1).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

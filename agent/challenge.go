package agent

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxChallenge bounds what is read of the challenges of an answer, in bytes.
const maxChallenge = 4 << 10

// stepUp returns a *StepUpError where an answer of 401 asks for another authentication (RFC 9470, section 3), else nil.
func stepUp(h http.Header) error {
	for _, text := range h.Values("WWW-Authenticate") {
		p := parameters(text)
		if p["error"] != "insufficient_user_authentication" {
			continue
		}
		e := &StepUpError{ACR: strings.Fields(p["acr_values"]), MaxAge: -1}
		if n, err := strconv.ParseUint(p["max_age"], 10, 31); err == nil {
			e.MaxAge = time.Duration(n) * time.Second
		}
		return e
	}
	return nil
}

// parameters returns the parameters of a challenge (RFC 9110, section 11.6.1), of the first of each name. Of several
// challenges in one header they are taken together: it is only asked whether one names an error.
func parameters(text string) map[string]string {
	out := map[string]string{}
	text = text[:min(len(text), maxChallenge)]
	for text != "" {
		name, rest, found := strings.Cut(text, "=")
		if !found {
			return out
		}
		name = strings.ToLower(name[strings.LastIndexAny(name, " ,\t")+1:])
		var value string
		value, text = parameterValue(rest)
		if _, known := out[name]; !known && name != "" {
			out[name] = value
		}
	}
	return out
}

// parameterValue reads a token or a quoted string, and returns what follows it.
func parameterValue(text string) (value, rest string) {
	quoted, isQuoted := strings.CutPrefix(text, `"`)
	if !isQuoted {
		end := strings.IndexAny(text, ", \t")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:]
	}
	var out strings.Builder
	for i := 0; i < len(quoted); i++ {
		switch quoted[i] {
		case '"':
			return out.String(), quoted[i+1:]
		case '\\':
			i++
		}
		if i < len(quoted) {
			out.WriteByte(quoted[i])
		}
	}
	return "", "" // it does not end
}

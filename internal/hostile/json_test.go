package hostile

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// edit is a change of the JSON of a header or a payload, which is signed afterwards with the right key: what an issuer
// would have to be talked into.
type edit struct {
	name   string
	change func(object string) string
	// why says for which reason (a regular expression) a foreign token is refused; empty if it is the same token.
	why string
	// proof is the reason where the token is a proof; empty if that is why as well, "same" if it is the same proof.
	proof string
}

// first puts a member in front of the others, last behind them.
func first(member string) func(string) string {
	return func(s string) string { return "{" + member + "," + s[1:] }
}

func last(member string) func(string) string {
	return func(s string) string { return s[:len(s)-1] + "," + member + "}" }
}

func swap(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

func around(before, after string) func(string) string {
	return func(s string) string { return before + s + after }
}

// again puts the first member of an object once more into it, with another value and perhaps another name.
func again(rename func(name string) string, put func(string) func(string) string) func(string) string {
	return func(s string) string {
		name, _, _ := strings.Cut(s[2:], `"`)
		return put(`"` + rename(name) + `":"mallory"`)(s)
	}
}

func as(name string) string      { return name }
func upper(name string) string   { return strings.ToUpper(name) }
func titled(name string) string  { return strings.ToUpper(name[:1]) + name[1:] }
func escaped(name string) string { return name[:len(name)-1] + `\u00` + hexByte(name[len(name)-1]) }

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// spaced writes an object over several lines.
func spaced(s string) string {
	return strings.NewReplacer("{", "{\r\n\t", `","`, "\" ,\n \"", `":"`, `" : "`).Replace(s)
}

const (
	syntax    = `not acceptable JSON: syntax|not a JSON object`
	duplicate = `not acceptable JSON: duplicate member`
	noMember  = `member that is not (a string|allowed)|more members`
)

// texts are the changes that are the same for headers and payloads.
var texts = []edit{
	{"two of a member, bad first", again(as, first), duplicate, ""},
	{"two of a member, bad last", again(as, last), duplicate, ""},
	{"two of a member, one escaped", again(escaped, last), duplicate, ""},
	{"two of a member, escaped first", again(escaped, first), duplicate, ""},
	{"BOM", around("\ufeff", ""), syntax, ""},
	{"NUL behind", around("", "\x00"), syntax, ""},
	{"NUL in front", around("\x00", ""), syntax, ""},
	{"trailing object", around("", "{}"), syntax, ""},
	{"trailing comma", swap(`"}`, `",}`), syntax, ""},
	{"leading comma", swap(`{`, `{,`), syntax, ""},
	{"comment", swap(`{`, `{/* */`), syntax, ""},
	{"single quotes", func(s string) string { return strings.ReplaceAll(s, `"`, `'`) }, syntax, ""},
	{"no quotes", swap(`"`, ``), syntax, ""},
	{"in an array", around("[", "]"), syntax, ""},
	{"a string", around(`"`, `"`), syntax, ""},
	{"null", func(string) string { return "null" }, syntax, ""},
	{"cut off", func(s string) string { return s[:len(s)-1] }, syntax, ""},
	{"UTF-16", func(s string) string { return "\xff\xfe" + strings.Join(strings.Split(s, ""), "\x00") + "\x00" }, "not UTF-8", ""},
	{"not UTF-8", first("\"x5t\":\"\xc0\xaf\""), "not UTF-8", ""},
	{"overlong NUL", first("\"x5t\":\"\xc0\x80\""), "not UTF-8", ""},
	{"surrogate in UTF-8", first("\"x5t\":\"\xed\xa0\x80\""), "not UTF-8", ""},
	{"lone surrogate", first(`"x5t":"\ud800"`), "unpaired surrogate", ""},
	{"surrogates swapped", first(`"x5t":"\udc00\ud800"`), "unpaired surrogate", ""},
	{"replacement character", first("\"x5t\":\"\ufffd\""), "unpaired surrogate", ""},
	{"deep objects", first(`"x5t":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)), "nested too deeply", ""},
	{"deep arrays", first(`"x5t":` + strings.Repeat(`[`, 40) + strings.Repeat("]", 40)), "nested too deeply", ""},
	{"open arrays", first(`"x5t":` + strings.Repeat(`[`, 1000)), syntax + "|nested too deeply", ""},
	{"raw line break in a text", first("\"x5t\":\"a\nb\""), syntax, ""},
	{"bad escape", first(`"x5t":"\x41"`), syntax, ""},
	{"number with a plus", first(`"x5t":+1`), syntax, ""},
	{"number with a zero", first(`"x5t":01`), syntax, ""},
	{"not a number", first(`"x5t":NaN`), syntax, ""},
	{"infinity", first(`"x5t":-Infinity`), syntax, ""},
	{"True", first(`"x5t":True`), syntax, ""},
	{"white space", spaced, "", "same"},
	{"white space around", around(" \r\n\t", "\n"), "", "same"},
}

// check requires of every door that the edit is refused there for its reason, or leaves the token what it is.
func check(t *testing.T, all []door, e edit, make func(d door, change func(string) string) string) {
	t.Helper()
	used := 0
	for _, d := range all {
		_, id := d.accepted(t)
		raw := make(d, e.change)
		if raw == "" {
			continue // the edit does not apply
		}
		used++
		why := e.why
		if strings.HasPrefix(d.name, "DPoP") && e.proof != "" {
			why = strings.TrimPrefix(e.proof, "same")
		}
		got, err := d.open(raw)
		switch {
		case d.ours: // knows its own spelling
			require.Error(t, err, "%s: %s", d.name, e.name)
			require.Contains(t, []string{form, header, key, payload, claims}, classOf(t, err), "%v", err)
		case why == "":
			require.NoError(t, err, "%s: %s", d.name, e.name)
			require.Equal(t, id, got, "%s: %s", d.name, e.name)
		default:
			require.Error(t, err, "%s: %s", d.name, e.name)
			require.Regexp(t, regexp.MustCompile(why), err.Error(), "%s: %s", d.name, e.name)
			require.NotContains(t, err.Error(), "mallory")
		}
	}
	require.NotZero(t, used, "%s applies nowhere", e.name)
}

func ofHeader(d door, change func(string) string) string {
	if h := change(d.header); h != d.header {
		return forge(d.alg, h, d.payload)
	}
	return ""
}

func ofPayload(d door, change func(string) string) string {
	if p := change(d.payload); p != d.payload {
		return forge(d.alg, d.header, p)
	}
	return ""
}

// A header or payload that two readers could read as two things is refused, however well it is signed.
func TestAmbiguousJSONIsRefused(t *testing.T) {
	all := doors(t)
	for _, e := range texts {
		check(t, all, e, ofHeader)
		check(t, all, e, ofPayload)
	}
}

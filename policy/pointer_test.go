package policy

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// problemAt returns the one problem of a set whose one document has an expression that is at fault.
func problemAt(t testing.TB, document string) Problem {
	t.Helper()
	_, err := Load(tree(map[string]string{"crm.yaml": leafOf(document)}))
	var le *LoadError
	require.ErrorAs(t, err, &le)
	require.Len(t, le.Problems, 1)
	return le.Problems[0]
}

func TestADetailPointsIntoTheExpression(t *testing.T) {
	p := problemAt(t, "deny:\n- rule: late\n  when: task.present && tsk.purpose == \"x\"\n")
	require.Equal(t, `crm.yaml:4:28: rule "late": when: 1:20: undeclared reference to 'tsk.purpose' (did you mean 'task.purpose'?)
  | task.present && tsk.purpose == "x"
  |                    ^`, p.Detail())
	require.Equal(t, []any{4, 28, "late", 19}, []any{p.Line, p.Column, p.Rule, p.Offset})
	require.Equal(t, `task.present && tsk.purpose == "x"`, p.Expression)

	p = problemAt(t, "deny:\n- rule: late\n  when: risk.levl == \"high\"\n")
	require.Equal(t, "when: 1:5: undeclared reference to 'risk.levl' (did you mean 'risk.level'?)", p.Message)

	plain := problemAt(t, "deny: nothing\n")
	require.Equal(t, plain.String(), plain.Detail())
	require.Equal(t, "crm.yaml:2:7: deny: must be a list that is not empty", plain.String())
}

// Every refusal that is about a part of an expression points at it.
func TestRefusalsPointAtWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ when, at string }{
		{`task.present && nothing`, "nothing"},
		{`task.present && client.id == 3`, "== 3"},
		{`task.present && client.id`, ".id"},
		{`task.present &&`, ""},
		{`client.id`, "client.id"},
		{`task.present && client.id.matches("(a+)+")`, `"(a+)+"`},
		{`task.present && client.id.matches("(")`, `"("`},
		{`task.present && now.getHours("Mars/Base") == 1`, `"Mars/Base"`},
		{`task.present && {"a": 1}["a"] == 1`, `{"a"`},
		{`task.present && env.a == env.b`, `.a == env.b`},
		{`task.present && chain.exists(a, client.groups.exists(g, g == a.id))`, `(g, g`},
		{`task.present && timestamp("x") > now`, `("x")`},
		{`request.details.exists(d, d.a.b.c.contains(client.id + client.id + actor.id))`, `request`},
	} {
		p := problemAt(t, "deny:\n- rule: r\n  when: |\n    "+c.when+"\n")
		require.Contains(t, c.when, c.at)
		if c.at != "" {
			c.at = c.when[strings.Index(c.when, c.at):]
		}
		require.Equal(t, c.when, p.Expression)
		got := c.when[p.Offset:]
		require.Equal(t, c.at, got, p.Detail())
		require.Equal(t, []int{5, p.Offset + 5}, []int{p.Line, p.Column}, c.when)
	}
}

// The caret stands below the character at fault, whatever is before it, and nothing leaves the window.
func TestPicturesAreBoundedAndPrintable(t *testing.T) {
	long := strings.Repeat("abcdefghi ", 40)
	for _, c := range []struct {
		name, text   string
		offset       int
		line, before string // what is drawn, and what the caret stands below the end of
	}{
		{"short", "abc", 1, "abc", "a"},
		{"start", "abc", 0, "abc", ""},
		{"end", "abc", 3, "abc", "abc"},
		{"beyond", "abc", 99, "abc", "abc"},
		{"before", "abc", -1, "abc", ""},
		{"second line", "abc\ndef\nghi", 5, "def", "d"},
		{"end of a line", "abc\ndef", 3, "abc", "abc"},
		{"tab", "a\tb", 2, "a b", "a "},
		{"accents", "\u00e9\u00e9x", 4, "\u00e9\u00e9x", "\u00e9\u00e9"},
		{"wide", "日本x", 6, "日本x", "    "},
		{"combining", "e\u0301x", 3, "e�x", "e�"},
		{"control", "a\x1b[31mb\x07", 7, "a�[31mb�", "a�[31mb"},
		{"direction", "a\u202eb\u2066", 4, "a�b�", "a�"},
		{"not UTF-8", "a\xffb", 2, "a�b", "a�"},
		{"long, at the start", long, 0, long[:71] + "…", ""},
		{"long, at the end", long, len(long), "…" + long[len(long)-71:], "…" + long[len(long)-71:]},
		{"long, in the middle", long, 200, "…" + long[165:235] + "…", "…" + long[165:200]},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := strings.Split(picture(c.text, c.offset), "\n")
			require.Equal(t, []string{"  | " + c.line, "  | " + strings.Repeat(" ", utf8.RuneCountInString(c.before)) + "^"}, lines)
		})
	}
	wideText := strings.Repeat("日", 1000)
	for _, offset := range []int{0, 3, 300, 1500, 2999, 3000} {
		lines := strings.Split(picture(wideText, offset), "\n")
		require.LessOrEqual(t, width([]rune(lines[0])), maxPicture+4)
		require.LessOrEqual(t, width([]rune(lines[1])), maxPicture+5)
	}
}

func FuzzPicture(f *testing.F) {
	for _, s := range []string{"a b", "\t\x00é日\u0301", strings.Repeat("x", 200), "a\nb\r\nc", "\xff\xfe"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, text string, offset int) {
		out := picture(text, offset)
		require.True(t, utf8.ValidString(out))
		lines := strings.Split(out, "\n")
		require.Len(t, lines, 2)
		for _, line := range lines {
			require.LessOrEqual(t, width([]rune(line)), maxPicture+5)
			require.Equal(t, -1, strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }))
		}
	})
}

// The same expression, written in each of the ways of YAML: its place in the document is found.
func TestPlacesInDocuments(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		line, column int
	}{
		{"plain", "  when: true && nothing", 4, 17},
		{"plain, on the next line", "  when:\n    true && nothing", 5, 13},
		{"plain, over lines", "  when: true\n    &&\n\n    nothing", 7, 5},
		{"single quotes", "  when: 'true && nothing'", 4, 18},
		{"single quotes with an escape", "  when: '\"''\" == client.id && nothing'", 4, 31},
		{"double quotes", "  when: \"true && nothing\"", 4, 18},
		{"double quotes with an escape", "  when: \"\\\"x\\\" == client.id && nothing\"", 4, 32},
		{"double quotes with another escape", "  when: \"'\\x41' == client.id && nothing\"", 4, 9},
		{"double quotes with an escape behind", "  when: \"true && nothing == '\\x41'\"", 4, 18},
		{"double quotes over lines", "  when: \"true\n   && nothing\"", 5, 7},
		{"literal", "  when: |\n    true && nothing", 5, 13},
		{"literal, over lines", "  when: |\n    true &&\n      nothing", 6, 7},
		{"literal with a header and a comment", "  when: |2-   # no: nothing\n\n    true && nothing", 6, 13},
		{"folded", "  when: >\n    true &&\n    nothing", 6, 5},
		{"folded with a blank line", "  when: >-\n    true\n\n    && nothing", 7, 8},
		{"wide characters before it", "  when: '\"日本é\" == client.id && nothing'", 4, 32},
		{"a mapping in one line", "  scopes: [a]\n  when: true && nothing", 5, 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problemAt(t, "allow:\n- rule: r\n"+c.text+strings.Repeat("\n  scopes: [a]", 1-strings.Count(c.text, "scopes"))+"\n")
			require.Equal(t, []int{c.line, c.column}, []int{p.Line, p.Column}, p.Detail())
		})
	}
	// lines that end in other ways
	_, err := Load(tree(map[string]string{"crm.yaml": strings.ReplaceAll("\ufeff"+leafOf("deny:\n- rule: r\n  when: |\n    true &&\n    nothing\n"), "\n", "\r\n")}))
	require.ErrorContains(t, err, `crm.yaml:6:5: rule "r": when: `)
}

// A document that changes while a set is refused costs the place, and nothing else.
func TestAPlaceThatIsGoneIsTheStart(t *testing.T) {
	l := &locator{fsys: tree(map[string]string{"a.yaml": "deny: [{rule: r, when: \"true\"}]", "bad.yaml": "["})}
	require.NotNil(t, l.ruleValue("a.yaml", "r", "when"))
	require.Nil(t, l.ruleValue("a.yaml", "q", "when"))
	require.Nil(t, l.value("bad.yaml", "deny"))
	require.Nil(t, l.value("none.yaml", "deny"))
	n := l.ruleValue("a.yaml", "r", "when")
	line, column := place(l.text, n, "something else", 9)
	require.Equal(t, []int{1, 24}, []int{line, column})
	line, column = place("", n, "true", 2)
	require.Equal(t, []int{1, 24}, []int{line, column})
}

func FuzzPlace(f *testing.F) {
	f.Add("deny:\n- rule: r\n  when: 'a '' b'\n", 2)
	f.Add("deny:\n- rule: r\n  when: >\n    a\n\n    b\n", 3)
	f.Fuzz(func(t *testing.T, text string, offset int) {
		l := &locator{fsys: tree(map[string]string{"a.yaml": text})}
		n := l.ruleValue("a.yaml", "r", "when")
		if n == nil {
			return
		}
		when := strings.TrimSpace(n.Value)
		line, column := place(l.text, n, when, min(max(offset, 0), len(when)))
		require.GreaterOrEqual(t, line, n.Line)
		require.GreaterOrEqual(t, column, 1)
		require.LessOrEqual(t, line, 1+len(text))
	})
}

func TestProblemsOfOneLineAreSortedByColumn(t *testing.T) {
	_, err := Load(tree(map[string]string{"crm.yaml": leafOf("deny: [{rule: a, when: nothing}, {rule: b, when: nothing}]\n")}))
	le, ok := errors.AsType[*LoadError](err)
	require.True(t, ok)
	require.Equal(t, []int{24, 50}, []int{le.Problems[0].Column, le.Problems[1].Column})
}

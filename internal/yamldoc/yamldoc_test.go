package yamldoc

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var limits = Limits{Bytes: 256 << 10, Depth: 16, Nodes: 20_000}

const good = "a: b\nlist: [1, {x: 5m, y: true}]\n'<<': \"100%\\n% \"\n"

func TestParseReturnsTheRoot(t *testing.T) {
	for _, text := range []string{good, "---\n" + good, "\ufeff# a comment\n" + good + "...\n"} {
		root, bad := Parse([]byte(text), limits)
		require.Nil(t, bad)
		require.Equal(t, yaml.MappingNode, root.Kind)
		require.Len(t, root.Content, 6)
	}
}

// bomb makes the classic document that grows tenfold with every line.
func bomb() string {
	text := "a0: &a0 x\n"
	for i := range 12 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 10))
	}
	return text
}

func TestParseRefusesCheaply(t *testing.T) {
	long := strings.Repeat("k", 512)
	fill := func(s string) string { return strings.Repeat(s, limits.Bytes/len(s)-50) }
	for _, c := range []struct {
		name, text string
		want       Problem
	}{
		{"empty", "", Problem{0, "", "the document is empty"}},
		{"only a comment", "# x\n", Problem{0, "", "the document is empty"}},
		{"syntax", "a: b\nc: [\n", Problem{2, "", "not YAML: did not find expected node content"}},
		{"a list that is not closed", "a: b\nc:\n- x\n- [y\nd: e\n", Problem{4, "", "not YAML: did not find expected ',' or ']'"}},
		{"a list in the first line that is not closed", "a: [b\nc: d\n", Problem{2, "", "not YAML: did not find expected ',' or ']'"}},
		{"a key too far left", "a:\n- b: c\n  d: e\n f: g\n", Problem{4, "", "not YAML: did not find expected key"}},
		{"a list that goes wrong", "x: y\na:\n  - b: c\n    d: e\n   f: g\n", Problem{3, "", "not YAML: did not find expected '-' indicator"}},
		{"a tab", "a: b\nc:\n\td: e\n", Problem{3, "", "not YAML: found character that cannot start any token"}},
		{"a quote that is not closed", "a: b\nc: 'd\n", Problem{2, "", "not YAML: found unexpected end of stream"}},
		{"unknown alias", "a: *" + strings.Repeat("x", 1000), Problem{0, "", "not YAML: unknown anchor '" + strings.Repeat("x", 184)}},
		{"not UTF-8", "a: \xff\n", Problem{0, "", "the document is not UTF-8"}},
		{"two documents", good + "---\na: b\n", Problem{4, "", "more than one YAML document"}},
		{"a broken document after it", good + "...\n--- [\n", Problem{5, "", "not YAML: did not find expected node content"}},
		{"directive", "%YAML 1.1\n---\n" + good, Problem{1, "", "YAML directives are not allowed"}},
		{"directive after a byte order mark", "\ufeff%YAML 1.1\n---\n" + good, Problem{1, "", "YAML directives are not allowed"}},
		{"late directive", "# x\n%TAG ! x:\n---\n" + good, Problem{2, "", "YAML directives are not allowed"}},
		{"directive after another line break", "# x\u2028%YAML 1.1\n---\n" + good, Problem{1, "", "YAML directives are not allowed"}},
		{"key twice", good + "a: c\n", Problem{4, "", `key "a" twice, first in line 1`}},
		{"inner key twice", "a:\n- b: {c: 1, 'c': 2}\n", Problem{2, "a[0].b", `key "c" twice, first in line 2`}},
		{"anchor", "a: [x, &a [y]]\n", Problem{1, "a[1]", "YAML anchors and aliases are not allowed"}},
		{"anchor of a key", "a: {&a x: y}\n", Problem{1, "a", "YAML anchors and aliases are not allowed"}},
		{"alias", "a: [&a x, *a]\n", Problem{1, "a[0]", "YAML anchors and aliases are not allowed"}},
		{"tag", "- !!str x\n", Problem{1, "[0]", "YAML tags are not allowed"}},
		{"a text that looks like a tag", "a: !task.present\n", Problem{1, "a", "YAML tags are not allowed; a text that begins with ! must be quoted"}},
		{"own tag", "a: !x [y]\n", Problem{1, "a", "YAML tags are not allowed"}},
		{"tag of a key", "!!str a: x\n", Problem{1, "", "YAML tags are not allowed"}},
		{"merge key", "a: {<<: {b: c}}\n", Problem{1, "a", "YAML merge keys are not allowed"}},
		{"number as a key", "1: x\n", Problem{1, "", "a key must be a name"}},
		{"list as a key", "a: b\n? [a]\n: b\n", Problem{2, "", "a key must be a name"}},
		{"empty key", "a: {'': b}\n", Problem{1, "a", "a key must be a name"}},
		{"lines as a key", "? \"two\\nlines\"\n: x\n", Problem{1, "", "a key must be a name"}},

		{"alias bomb", bomb(), Problem{1, "a0", "YAML anchors and aliases are not allowed"}},
		{"aliases", "a: &a [" + fill("*a,") + "]", Problem{1, "a", "YAML anchors and aliases are not allowed"}},
		{"self alias", "a: &a [*a]\n", Problem{1, "a", "YAML anchors and aliases are not allowed"}},
		{"open lists", "a: " + fill("["), Problem{0, "", "not YAML: exceeded max depth of 10000"}},
		{"open maps", fill("{a: "), Problem{0, "", "not YAML: exceeded max depth of 10000"}},
		{"dashes", fill("- "), Problem{0, "", "not YAML: exceeded max depth of 10000"}},
		{"nested", "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), Problem{1, "a" + strings.Repeat("[0]", 16), "nested too deeply"}},
		{"many values", "a: [" + fill("x, ") + "x]", Problem{1, "a[19997]", "too many values"}},
		{"one key again", fill("a: b\n"), Problem{2, "", `key "a" twice, first in line 1`}},
		{"tag under long keys", strings.Repeat("{"+long+": ", 14) + "[" + strings.Repeat("x, ", 19_000) + "!x y]" + strings.Repeat("}", 14),
			Problem{1, strings.Repeat(long+".", 13) + long + "[19000]", "YAML tags are not allowed; a text that begins with ! must be quoted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			root, bad := Parse([]byte(c.text), limits)
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(128<<20))
			require.Nil(t, root)
			require.Equal(t, &c.want, bad)
		})
	}
}

func TestLimitsAreInclusive(t *testing.T) {
	exact := Limits{Bytes: 10, Depth: 2, Nodes: 4}
	_, bad := Parse([]byte("{a: [bcd]}"), exact)
	require.Nil(t, bad)
	for want, most := range map[Problem]Limits{
		{0, "", "the document is larger than 9 bytes"}: {9, 2, 4},
		{1, "a[0]", "nested too deeply"}:               {10, 1, 4},
		{1, "a[0]", "too many values"}:                 {10, 2, 3},
		{0, "", "the document is larger than 0 bytes"}: {},
	} {
		_, bad := Parse([]byte("{a: [bcd]}"), most)
		require.Equal(t, &want, bad)
	}
}

// FuzzParse holds that any text gives either a plain document or one problem in one line, and never a panic.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		good, bomb(), "a: &a [*a]\n", "? [x]\n: y\n", "a: !!binary x\n---\n", "? \"two\\nlines\"\n: x\n",
		"- {<<: {id: x}}\n", "? [a]\n: !!set {x}\n---\n%TAG ! x\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, bad := Parse(data, limits)
		require.Equal(t, root == nil, bad != nil)
		if bad != nil {
			require.NotEmpty(t, bad.Message)
			require.NotContains(t, bad.Message+bad.Key, "\n")
			return
		}
		plain(t, root)
	})
}

// plain holds that a node and what is below it means what it seems to.
func plain(t *testing.T, n *yaml.Node) {
	require.Nil(t, n.Alias)
	require.Empty(t, n.Anchor)
	seen := map[string]bool{}
	for key := range Pairs(n) {
		require.True(t, Is(key, "!!str"))
		require.False(t, seen[key.Value], key.Value)
		seen[key.Value] = true
	}
	for _, c := range n.Content {
		plain(t, c)
	}
}

package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// hostile is a policy that somebody wrote to do harm: refused for the reason, or loaded and then of no use.
type hostile struct {
	name, text string // of crm.yaml
	want       string
}

// conditioned makes a document with the condition of a deny rule; no quoting is in the way.
func conditioned(condition string) string {
	return leafOf("deny:\n- rule: r\n  when: |\n    " + condition + "\n")
}

func conditions(want string, list ...string) []hostile {
	out := make([]hostile, len(list))
	for i, c := range list {
		out[i] = hostile{fmt.Sprintf("%.60q", c), conditioned(c), want}
	}
	return out
}

func documents(want string, list ...string) []hostile {
	out := make([]hostile, len(list))
	for i, text := range list {
		out[i] = hostile{fmt.Sprintf("%.60q", text), text, want}
	}
	return out
}

func fields(want string, list ...string) []hostile {
	for i := range list {
		list[i] = leafOf(list[i])
	}
	return documents(want, list...)
}

func times(n int, s string) string { return strings.Repeat(s, n) }

// aliases makes the classic document that grows tenfold with every line.
func aliases() string {
	text := "a0: &a0 x\n"
	for i := range 12 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, times(10, fmt.Sprintf("*a%d, ", i)))
	}
	return text
}

// hostileDocuments are refused for what they are as YAML, or as a document.
func hostileDocuments() [][]hostile {
	return [][]hostile{
		documents("anchors and aliases are not allowed", aliases(), leafOf("controls: &a [x]\n"),
			"bind: &b {client: a, connection: b, resource: \"*\"}\nlimits: *b\n", leafOf("controls: [&a x, *a]\n")),
		documents("not YAML: ", leafOf("controls: [*nowhere]\n"), leafOf("deny: [\n"), "bind: \"\n", "bind:\n\t- x\n", times(60_000, "{"),
			times(100_000, "["), times(50_000, "? "), times(50_000, "- "), "bind: {client: a,,}\n", "a: b: c\n", "a: |99\n  x\n", "\x00", leafOf("controls: [\"\\x\"]\n")),
		documents("merge keys are not allowed", leafOf("<<: {allow: []}\n")),
		documents("tags are not allowed", leafOf("controls: !!python/object [x]\n"), leafOf("controls: [!!binary aGk=]\n"), leafOf("limits: !<tag:x,1:y> {depth: 1}\n")),
		documents("directives are not allowed", "%YAML 1.1\n---\n"+leafOf(""), "%TAG ! tag:x,1:\n---\n"+leafOf(""), leafOf("")+"...\n%YAML 9.9\n---\nx\n"),
		documents("more than one YAML document", leafOf("---\n"+leafOf(""))),
		documents("not UTF-8", leafOf("controls: [\"\xff\"]\n"), leafOf("controls: [\"\xc0\xaf\"]\n"), "\xff\xfeb\x00i\x00", "\xed\xa0\x80: x\n"),
		documents("the document is empty", "", "# "+times(100_000, "x"), "\ufeff"),
		documents("nested too deeply", leafOf("controls: "+times(300, "[")+times(300, "]")+"\n"), leafOf("limits: "+times(300, "{a: ")+"b"+times(300, "}")+"\n")),
		documents("too many values", leafOf("controls: ["+times(30_000, "x, ")+"]\n")),
		documents("larger than 262144 bytes", leafOf(times(maxFile, "#")), leafOf("controls: [\""+times(maxFile, "x")+"\"]\n")),
		documents("twice", leafOf("limits: {depth: 1}\n\"limits\": {depth: 2}\n"), leafOf("limits: {depth: 1, depth: 2}\n"), leafOf("'limits': {}\nlimits: {}\n"),
			leafOf("deny: [{rule: r, when: \"true\", when: \"false\"}]\n"), leafOf("default_scopes: [a, a]\n"), leafOf("bind: {}\n")),
		documents("a key must be a name", "1: x\n", "~: x\n", "true: x\n", "? [a]\n: x\n", "? {a: b}\n: x\n", "\"a\\u0007\": x\n", "\""+times(600, "k")+"\": x\n"),
		documents("unknown key", leafOf("all\u043ew: []\n"), leafOf("\"allow\\u202e\": []\n"), leafOf("Allow: []\n"), leafOf("\" allow\": []\n"), leafOf("bind2: {}\n")),
		fields("must be a whole number", "limits: {depth: 1e3}\n", "limits: {depth: 0x10}\n", "limits: {depth: .inf}\n", "limits: {depth: 3.0}\n",
			"limits: {derivations: 99999999999999999999}\n", "limits: {derivations: 1_000}\n", "limits: {depth: +3}\n", "limits: {depth: 1:30}\n", "limits: {depth: 0b11}\n"),
		fields("must be between 0 and", "limits: {derivations: 9223372036854775807}\n", "limits: {depth: -9223372036854775808}\n", "limits: {derivations: 2147483648}\n"),
		fields("must be a duration", "limits: {lifetime: 9999999999999h}\n", "limits: {lifetime: 1e3s}\n", "limits: {lifetime: .nan}\n", "limits: {recheck: 60}\n", "limits: {lifetime: \"\u0661m\"}\n"),
		fields("must be whole seconds between", "limits: {lifetime: 2562047h}\n", "limits: {lifetime: -2562047h}\n", "limits: {lifetime: 1ns}\n"),
		fields("a name is made of letters", "deny: [{rule: ../../boundary, when: \"true\"}]\n", "deny: [{rule: \"r\\u202e\", when: \"true\"}]\n", "deny: [{rule: \"r\\0\", when: \"true\"}]\n",
			"deny: [{rule: r#x, when: \"true\"}]\n", "deny: [{rule: \u0433, when: \"true\"}]\n", "deny: [{rule: "+times(129, "r")+", when: \"true\"}]\n"),
		fields("rule \"r\": scopes: scope", "allow: [{rule: r, when: \"true\", scopes: [\"a b\"]}]\n", "allow: [{rule: r, when: \"true\", scopes: [\"a\\n\"]}]\n",
			"allow: [{rule: r, when: \"true\", scopes: [\"\\u202e\"]}]\n", "allow: [{rule: r, when: \"true\", scopes: ["+times(600, "a")+"]}]\n"),
		fields("resources: not a usable resource indicator", "allow: [{rule: r, when: \"true\", scopes: [a], resources: [\"https://crm.example.com/../..\"]}]\n"),
		documents("bind: resource: not a usable resource indicator", bindOf("a", "b", "\"/etc/passwd\""), bindOf("a", "b", "\"https://x/#y\""), bindOf("a", "b", "\"https://x/\\0\""),
			bindOf("a", "b", "\"https://"+times(3000, "x")+"/\""), bindOf("a", "b", "\"https://\\u202e/\"")),
		documents("bind: client: name", bindOf("\"a\\0b\"", "b", "\"*\""), bindOf(times(600, "a"), "b", "\"*\"")),
		documents("\"*\" stands alone", bindOf("[\"*\", a]", "b", "\"*\""), bindOf("a", "[a, \"*\"]", "\"*\"")),
		documents("must be a string that is not empty", bindOf("1.5", "b", "\"*\""), bindOf("null", "b", "\"*\""), bindOf("{a: b}", "b", "\"*\""), bindOf("[[a]]", "b", "\"*\""), bindOf("a", "2026-01-01", "\"*\"")),
		documents("more than 4096 combinations", bindOf("["+numbered(256, "c")+"]", "["+numbered(256, "n")+"]", "\"*\"")),
		fields("more than 256", "deny:\n"+rulesOf(257, "d", ""), "controls: ["+numbered(257, "c")+"]\n", "deny:\n"+rulesOf(200, "d", "")+"allow:\n"+rulesOf(200, "a", ", scopes: [a]")),
		fields("must be a list that is not empty", "deny: {rule: r, when: \"true\"}\n", "allow: true\n", "controls: []\n"),
		fields("must be a string (write \"true\" for always)", "deny: [{rule: r, when: true}]\n", "deny: [{rule: r, when: True}]\n"),
		fields("must be true or false", "allow: [{rule: r, when: \"true\", scopes: [a], refresh: yes}]\n", "allow: [{rule: r, when: \"true\", scopes: [a], refresh: 1}]\n"),
	}
}

// hostileConditions are refused for their expression.
func hostileConditions() [][]hostile {
	return [][]hostile{
		conditions("the expression is longer than 4096 bytes", `"`+times(5000, "a")+`" == client.id`, times(1500, "!!!")+"true", "1"+times(2000, " + 1")+" == 1"),
		conditions("expression recursion limit exceeded: 32", times(1300, "(")+"true"+times(1300, ")"), times(900, "!(")+"true"+times(900, ")"), times(1200, "[")+times(1200, "]")+" == []",
			times(250, "true ? true : ")+"true"),
		conditions("expression node count exceeds limit", times(500, "true||")+"true", "["+times(1500, "1,")+"1] == []"),
		conditions("max recursion depth exceeded", "env"+times(1500, ".a")+" == 1", "1"+times(500, ".size()")+" == 1", "env"+times(300, "[0]")+" == 1"),
		conditions("may cost",
			`parent.scopes.all(s, s in client.groups)`, `request.details.exists(d, d.a.contains(client.id + client.id + actor.id))`,
			`parent.scopes.exists(s, s.matches("(a|b|c|d|e|f|g)*x(a|b|c|d|e|f|g)*y"))`, `request.scopes.all(s, subset(parent.scopes, client.groups))`,
			`request.details.exists(d, d.t.matches("a.*b.*c.*d.*e.*f"))`,
			`subset(parent.scopes, parent.scopes) && subset(parent.scopes, parent.scopes) && parent.scopes.all(s, s in parent.scopes)`,
			`chain.all(p, p.id in parent.scopes && p.issuer in parent.scopes && p.kind in parent.scopes && client.id in parent.scopes)`,
			`(`+times(10, `env.a + `)+`env.a).contains(env.b)`),
		conditions("cannot be nested", `chain.all(a, chain.all(b, chain.all(c, a == b && b == c)))`, `client.groups.exists(a, client.groups.exists_one(b, a == b))`),
		conditions("the pattern repeats a repeat", `client.id.matches("(a+)+$")`, `client.id.matches("(a*)*")`, `client.id.matches("((a{1,9}){1,9}){1,9}")`, `client.id.matches("(x+x+)+y")`, `client.id.matches("(?:a?){50}")`),
		conditions("the pattern is too complex", `client.id.matches("a{1000}")`, `client.id.matches(".{300}")`, `client.id.matches("(a|b|c|d|e){200}")`),
		conditions("matches: error parsing regexp", `client.id.matches("(?=a)b")`, `client.id.matches("(a)\\1")`, `client.id.matches("[a")`, `client.id.matches("a{1001}")`, `client.id.matches("(?P<n")`, `client.id.matches("\\p{Foo}")`, `client.id.matches("**")`),
		conditions("the pattern must have between 1 and 128 bytes", `client.id.matches("`+times(129, "a")+`")`, `client.id.matches("")`),
		conditions("the pattern must be a literal", `client.id.matches(env.pattern)`, `client.id.matches(client.id)`, `client.id.matches("a" + client.id)`),
		conditions("time zone", `now.getHours("../../etc/passwd") == 1`, `now.getHours("Local") == 1`, `now.getHours(client.id) == 1`, `now.getHours("`+times(1000, "A")+`") == 1`, `now.getHours("") == 1`),
		conditions("undeclared reference to", `dyn(client.id) == 1`, `type(env.x) == bool`, `client.id.replace("a", "aaaaaaaaaa").replace("a", "aaaaaaaaaa") == ""`, `"%1000000000d".format([1]) == ""`,
			`client.groups.join("`+times(100, "x")+`") == ""`, `client.groups.map(g, g + g) == []`, `client.groups.filter(g, true) == []`, `cel.bind(x, env, x) == 1`, `bytes(client.id) == b""`, `base64.encode(b"x") == ""`,
			`self == 1`, `lists.range(1000000000).size() > 0`, `__import__("os") == 1`, `optional.of(1) == 1`, `math.greatest(1, 2) == 2`, `sets.contains([1], [1])`, `uint(1) == 1u`, `client.id.split("").size() > 1`,
			`\u0433rant == "x"`[6:], `__result__ == 1`),
		conditions("Syntax error", `grant ==`, `grant = "x"`, `"unterminated`, `'''unterminated`, `for x in y`, `${jndi:ldap://x}`, "{{template}}",
			`a b c`, `grant == "\x"`, `grant == "\u12"`, `@result == 1`, `1..2 == 1`, `0x == 1`, times(900, "= ) "), `/* */ true`),
		conditions("unsupported syntax", `env.?x == 1`, `env[?"x"] == 1`),
		conditions("reserved identifier", `while`, `this.x == 1 || package`),
		conditions("control characters are not allowed", "grant == \x07", "grant == \"\x1b[31m\""),
		conditions("expected type 'bool'", `client.id && true`, `!(task.present || now)`),
		conditions("maps and objects cannot be constructed", `{"a": 1}.a == 1`, `{1: {2: {3: 4}}} == {}`, `Party{id: "x"} == chain[0]`),
		conditions("the expression must be a bool", `client.id`, `env.x`, `env`, `[true]`, `1`, `null`, `timestamp(0)`, `"true"`, `(task.present ? env.x : true)`, `chain[0]`),
		conditions("found no matching overload", `client.id == 3`, `client.groups == "eu"`, `!client.id`, `now > 5`, `"a" + 1 == "a1"`, `true < 1`, `client.id in "abc"`, `subset("a", ["a"])`, `size(1) == 1`, `-client.id == ""`, `request.lifetime * 2 > duration("1s")`),
		conditions("a dynamic value can only be compared", `env.a == env.b`, `env == env`, `[env.a] == [1]`, `env.a == ["x"]`, `subject.attributes == actor.attributes`),
		conditions("must be of a known simple type", `env.a in env.b`, `"x" in [env.a]`, `client.groups in env.b`),
		conditions("is a variable and cannot name an entry", `chain.all(client, client.id == "x")`, `chain.exists(env, true)`, `chain.exists(grant, grant.id == "x")`),
		conditions("invalid int literal", `9223372036854775808 > 0`, `-9223372036854775809 < 0`, `0xffffffffffffffffff > 0`),
		conditions("invalid uint literal", `18446744073709551616u > 0u`),
		conditions("invalid double literal", `1e999 < 0.0`),
		conditions("integer overflow", `int(1e308) > 0`, `int(double("NaN")) == 0`),
		conditions("type conversion error from 'string' to ", `duration("1000000000h") > duration("1s")`, `duration("x") > duration("1s")`, `int("99999999999999999999") == 1`),
		conditions("invalid RFC 3339 timestamp", `timestamp("0000-13-01T00:00:00Z") > now`, `timestamp("9999999999-01-01T00:00:00Z") > now`),
	}
}

// hostileLoaded load, and deny: the rule that holds the condition fails or is false for whatever it is given. Each is tried
// as the condition of an allow rule, which then grants nothing.
var hostileLoaded = []string{
	`env.text == true`, `env.text != true`, `!(env.text == true)`, `env.number == "1"`, `env.list == "a"`, `env.map == 1`, `env["null"] == 1`, `env.none == 1`, `env.none != 1`,
	`env.text > 3`, `env.text && true`, `!env.text`, `env.text.size() > 100`, `env.number.startsWith("1")`, `"a" in env.text`, `1 in env.map`, `env.list[99] == "a"`, `env.list[-1] == "a"`,
	`env.map.a.b.c.d == 1`, `1 / 0 == 1`, `1 % 0 == 1`, `parent.depth / 0 == 1`, `9223372036854775807 + parent.depth > 0`, `-9223372036854775808 - parent.depth < 0`, `9223372036854775807 * parent.depth > 0`,
	`double("NaN") > 0.0`, `double("NaN") == double("NaN")`, `int(client.id) == 1`, `duration(client.id) > duration("1s")`, `timestamp(client.id) > now`,
	`now + duration("2562047h") + duration("2562047h") > now && false`, `chain[9999999].id == "x"`, `client.groups[0] == "` + strings.Repeat("x", 3000) + `"`, `"\u202e\u0000" == client.id`, `client.id.matches("\\x{10FFFF}+$")`,
	`client.id == "support-b\u043et"`, `task.context.a.b == 1`, `request.details[0].amount == "12"`, `request.details.all(d, d.amount == "12")`, `subset(request.scopes, env.numbers)`, `subset([], [])`,
	`grant == "TOKEN_EXCHANGE"`, `env.long.contains("` + strings.Repeat("ab", 40) + `")`, `env.long.matches("(a|aa)*$x")`, `parent.scopes.all(s, s == "")`, `request.details.exists(d, d.text.contains("aab"))`,
}

// largest are facts near the bounds of everything that conditions can read.
func largest() tokenboundary.Facts {
	f := request()
	f.Env = map[string]any{
		"text": "true", "number": 1.0, "list": []any{"a"}, "map": map[string]any{"a": 1.0}, "null": nil, "numbers": []any{1.0, 2.0},
		"long": strings.Repeat("a", maxDynText),
	}
	f.Details = []byte("[" + strings.TrimSuffix(strings.Repeat(`{"text":"`+strings.Repeat("a", 100)+`","amount":12},`, 250), ",") + "]")
	f.Parent.Scopes = make([]string, maxHeld)
	for i := range f.Parent.Scopes {
		f.Parent.Scopes[i] = strings.Repeat("b", 255)
	}
	for range 14 {
		f.Chain = append(f.Chain, lineage.Party{ID: strings.Repeat("p", 500), Kind: "agent"})
	}
	return f
}

// spent returns what f allocates in all, freed or not: more than it ever holds at once. Nothing else runs meanwhile.
func spent(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

const hostileMost = 64 << 20

// refuses loads and checks a set that has to be refused, for the reason, in little memory.
func refuses(t *testing.T, fsys fs.FS, want string) {
	t.Helper()
	var err, checkErr error
	require.Less(t, spent(func() { _, err = Load(fsys) }), uint64(hostileMost))
	require.Less(t, spent(func() { _, checkErr = Check(fsys) }), uint64(hostileMost))
	require.ErrorContains(t, err, want)
	require.Equal(t, err, checkErr)
	var le *LoadError
	require.ErrorAs(t, err, &le)
	require.NotEmpty(t, le.Problems[0].File)
	require.Less(t, len(err.Error()), 64<<10)
	for _, p := range le.Problems {
		require.Less(t, len(p.Detail()), 2000)
	}
}

func TestHostilePoliciesAreRefused(t *testing.T) {
	n := 0
	for _, group := range append(hostileDocuments(), hostileConditions()...) {
		for _, h := range group {
			n++
			t.Run(h.name, func(t *testing.T) { refuses(t, tree(map[string]string{"crm.yaml": h.text}), h.want) })
		}
	}
	require.Greater(t, n, 200)
	// what they are variations of loads, and permits
	require.Equal(t, tokenboundary.Allow, evaluate(t, one(t, "default_scopes: [a]\ncontrols: [x]\nlimits: {depth: 1, derivations: 1, lifetime: 1m}\n"+
		"deny:\n- rule: r\n  when: |\n    client.id.matches(\"^x\") || chain.all(a, a.id == \"x\") || now.getHours(\"Europe/Berlin\") == 25 || env.limit == 1\n"+
		"allow: [{rule: a, when: 'true', scopes: [cases:read]}]\n"), request()).Effect)
}

func TestHostilePoliciesThatLoadGrantNothing(t *testing.T) {
	facts := largest()
	require.Equal(t, tokenboundary.Allow, evaluate(t, when(t, `env.text == "true" && request.details.all(d, d.amount == 12) && env.long.contains("a")`), facts).Effect)
	for _, condition := range hostileLoaded {
		t.Run(fmt.Sprintf("%.60q", condition), func(t *testing.T) {
			var set *Set
			var v tokenboundary.Verdict
			var err error
			start := time.Now()
			require.Less(t, spent(func() {
				set = when(t, condition)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				v, err = set.Evaluate(ctx, facts)
			}), uint64(hostileMost))
			require.NoError(t, err)
			require.Equal(t, tokenboundary.Deny, v.Effect)
			require.Equal(t, tokenboundary.CodeInvalidScope, v.Code)
			require.Regexp(t, `^rule r: (condition false|failed: .+)$`, v.Reasons[0].Why)
			require.Less(t, time.Since(start), time.Second)
			_, err = Check(tree(map[string]string{"crm.yaml": leafOf(allowing(condition))}))
			require.NoError(t, err)
		})
	}
}

// A request whose time is over is not decided, whatever the policy.
func TestHostilePoliciesEndWithTheirDeadline(t *testing.T) {
	s := one(t, "deny:\n"+strings.ReplaceAll(rulesOf(120, "d", ""), `"true"`, `'request.details.exists(d, d.text.contains("aab") || d.text.endsWith("b"))'`)+
		"allow: [{rule: a, when: 'true', scopes: [cases:read]}]\n")
	require.Equal(t, tokenboundary.Allow, evaluate(t, s, largest()).Effect)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	start := time.Now()
	v, err := s.Evaluate(ctx, largest())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, tokenboundary.Deny, v.Effect)
	require.Less(t, time.Since(start), time.Second)
}

// hostileFS is a file system with one document that is more, or less, than it says.
type hostileFS struct {
	fstest.MapFS
	open func() io.Reader
}

func (h hostileFS) Open(name string) (fs.File, error) {
	f, err := h.MapFS.Open(name)
	if err == nil && strings.HasSuffix(name, "crm.yaml") {
		return hostileFile{f, h.open()}, nil
	}
	return f, err
}

type hostileFile struct {
	fs.File
	data io.Reader
}

func (f hostileFile) Read(p []byte) (int, error) { return f.data.Read(p) }

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestHostileTreesAreRefused(t *testing.T) {
	const badName = "a name is made of letters, digits, and . _ - inside"
	for file, want := range map[string]string{
		"a b.yaml": badName, "a\\b.yaml": badName, "a:b.yaml": badName, "a%2fb.yaml": badName, "cr\u043c.yaml": badName, "-crm.yaml": badName, "_crm.yaml": badName,
		"a\u202e.yaml": badName, "a\n.yaml": badName, "a\x00.yaml": badName, "a;rm -rf.yaml": badName, "$(x).yaml": badName, "x/~root/crm.yaml": badName,
		strings.Repeat("a", 200) + ".yaml": badName, strings.Repeat("a/", 300) + "x.yaml": "the path is too long",
		"crm.yml": "end in .yaml", "crm.YAML": "not a policy document", "crm.yaml.bak": "not a policy document", "crm.json": "not a policy document", "Boundary.yml": "end in .yaml",
		"BOUNDARY.yaml": "bind: is required", "crm.yaml/x.sh": "not a policy document",
	} {
		t.Run(fmt.Sprintf("%.60q", file), func(t *testing.T) {
			docs := map[string]string{"ok.yaml": leafOf(""), file: "controls: [x]\n"}
			refuses(t, tree(docs), want)
		})
	}
	for name, c := range map[string]struct {
		mode fs.FileMode
		want string
	}{
		"link": {fs.ModeSymlink, "symbolic links are not followed"}, "pipe": {fs.ModeNamedPipe, "not a regular file"}, "device": {fs.ModeDevice, "not a regular file"},
		"socket": {fs.ModeSocket, "not a regular file"}, "irregular": {fs.ModeIrregular, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := tree(map[string]string{"ok.yaml": leafOf("")})
			fsys["crm.yaml"] = &fstest.MapFile{Data: []byte("/etc/passwd"), Mode: c.mode}
			refuses(t, fsys, "crm.yaml: "+c.want)
		})
	}
	for name, c := range map[string]struct {
		open func() io.Reader
		want string
	}{
		"endless": {func() io.Reader { return endless{} }, "the document is larger than 262144 bytes"},
		"broken":  {func() io.Reader { return failing{} }, "cannot be read"},
		"gone":    {func() io.Reader { return strings.NewReader("") }, "the document is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, hostileFS{tree(map[string]string{"crm.yaml": leafOf("")}), c.open}, "crm.yaml: "+c.want)
		})
	}
	_, err := Load(tree(map[string]string{"ok.yaml": leafOf(""), "a/b-1/c_2.d.yaml": bindOf("a", "b", `"*"`), "a/.hidden/x.sh": "x"}))
	require.NoError(t, err)
}

func TestHostileCatalogsAreRefused(t *testing.T) {
	resource := func(scopes string) string {
		return "resources:\n- resource: https://crm.example.com/\n  scopes:\n" + scopes
	}
	ring := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "  - {scope: s%d, implies: [s%d]}\n", i, (i+1)%n)
		}
		return resource(b.String())
	}
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, c := range []hostile{
		{"aliases", aliases(), "anchors and aliases are not allowed"},
		{"implies itself", resource("  - {scope: a, implies: [a]}\n"), "implies itself"},
		{"a ring", ring(100), "implies itself"},
		{"implies nothing there is", resource("  - {scope: a, implies: [b]}\n"), "is not a scope of this resource"},
		{"scope twice", resource("  - {scope: a}\n  - {scope: a}\n"), "twice"},
		{"resource twice", resource("  - {scope: a}\n") + "- resource: HTTPS://CRM.example.com:443/\n  scopes: [{scope: a}]\n", "resource"},
		{"any resource", "resources: [{resource: \"*\", scopes: [{scope: a}]}]\n", "resource"},
		{"any client", "connections: [{connection: n, clients: [\"*\"]}]\n", "clients"},
		{"many scopes", resource(many(200, "  - {scope: s%d}\n")), "more than"},
		{"many resources", "resources:\n" + many(5000, "- {resource: \"urn:x:%d\", scopes: [{scope: a}]}\n"), "more than|too many|larger"},
		{"many clients", "connections: [{connection: n, clients: [" + numbered(5000, "c") + "]}]\n", "more than"},
		{"unknown key", "grants: []\n", "unknown key"},
		{"no map", "[]\n", "must be a mapping"},
		{"sensitivity", resource("  - {scope: a, sensitivity: none}\n"), "sensitivity"},
		{"lifetime", resource("  - {scope: a, lifetime: 99999h}\n"), "lifetime: must be whole seconds"},
		{"scope with a space", resource("  - {scope: \"a b\"}\n"), "scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(tree(map[string]string{"catalog.yaml": c.text, "crm.yaml": leafOf("")}))
			require.Error(t, err)
			if strings.Contains(c.want, "|") {
				require.Regexp(t, c.want, err.Error())
				c.want = "catalog.yaml"
			}
			refuses(t, tree(map[string]string{"catalog.yaml": c.text, "crm.yaml": leafOf("")}), c.want)
		})
	}
	// as many scopes as there can be, each of which implies all after it
	var b strings.Builder
	for i := range 128 {
		fmt.Fprintf(&b, "  - {scope: s%03d", i)
		if i < 127 {
			fmt.Fprintf(&b, ", implies: [s%03d]", i+1)
		}
		b.WriteString("}\n")
	}
	docs := map[string]string{"catalog.yaml": resource(b.String()), "crm.yaml": leafOf("allow: [{rule: r, when: 'true', scopes: [s000]}]\n")}
	require.Less(t, spent(func() { require.Empty(t, checkedSet(t, docs)) }), uint64(hostileMost))
}

package suggest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/policy/suggest"
)

// page is a document in many layouts. What an edit takes out of it stands between angle brackets in the tests.
const page = `# The bot.
bind:
  client: bot   # one
  connection: "prod"
  resource: ["https://a.example/", 'https://b.example/', https://c.example/]  # three
allow:
  # Everybody reads.
  - rule: reads
    when: |
      task.present &&

      # not a comment
      task.purpose == "x"
    scopes: [a:read, "a:list",   a:ärger, a:last]  # flow
    lifetime: 1h # long
    delegates:
    - tool   # the tool
    # the other one
    - helper
    refresh: true

  # Writes are for few.
  - rule: writes
    scopes:
      - a:write   # block
      # and this
      - a:purge

      - a:drop
    when: "true"
    lifetime: "5m"
  # In one line.
  - {rule: flow, when: "true", scopes: [x:y, x:z], refresh: true}
  - when: "true"
    rule: last
    scopes: [
      m:one,   # first
      m:two,
      m:three
    ]

limits: {lifetime: 10m}
`

func TestAnEditTakesOutWhatItIsAboutAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		edit     suggest.Edit
		old, new string // the part of the page that changes
	}{
		"first of a flow list":    {suggest.Edit{"reads", "scopes", "a:read", ""}, `[a:read, "a:list"`, `["a:list"`},
		"quoted in a flow list":   {suggest.Edit{"reads", "scopes", "a:list", ""}, `"a:list",   a:ärger`, `a:ärger`},
		"not ASCII":               {suggest.Edit{"reads", "scopes", "a:ärger", ""}, `a:ärger, a:last`, `a:last`},
		"last of a flow list":     {suggest.Edit{"reads", "scopes", "a:last", ""}, `, a:last]`, `]`},
		"of a binding":            {suggest.Edit{"", "resource", "https://b.example/", ""}, ` 'https://b.example/',`, ``},
		"first of a block list":   {suggest.Edit{"writes", "scopes", "a:write", ""}, "      - a:write   # block\n", ""},
		"middle of a block list":  {suggest.Edit{"writes", "scopes", "a:purge", ""}, "      # and this\n      - a:purge\n", ""},
		"last of a block list":    {suggest.Edit{"writes", "scopes", "a:drop", ""}, "      - a:drop\n", ""},
		"a list beside its key":   {suggest.Edit{"reads", "delegates", "helper", ""}, "    # the other one\n    - helper\n", ""},
		"the whole list":          {suggest.Edit{"reads", "delegates", "", ""}, "    delegates:\n    - tool   # the tool\n    # the other one\n    - helper\n", ""},
		"a value":                 {suggest.Edit{"reads", "lifetime", "", "90s"}, "lifetime: 1h #", "lifetime: 90s #"},
		"a quoted value":          {suggest.Edit{"writes", "lifetime", "", "90s"}, `lifetime: "5m"`, "lifetime: 90s"},
		"a flag":                  {suggest.Edit{"reads", "refresh", "", "false"}, "    refresh: true\n", "    refresh: false\n"},
		"a flag of a flow":        {suggest.Edit{"flow", "refresh", "", "false"}, "x:z], refresh: true", "x:z], refresh: false"},
		"an entry of a flow":      {suggest.Edit{"flow", "scopes", "x:y", ""}, "[x:y, x:z]", "[x:z]"},
		"a rule and its comment":  {suggest.Edit{"writes", "", "", ""}, page[strings.Index(page, "  # Writes"):strings.Index(page, "  # In one")], ""},
		"the first rule":          {suggest.Edit{"reads", "", "", ""}, page[strings.Index(page, "  - rule: reads"):strings.Index(page, "\n  # Writes")], ""},
		"a rule in a flow":        {suggest.Edit{"flow", "", "", ""}, page[strings.Index(page, "  # In one"):strings.Index(page, "  - when")], ""},
		"the last rule":           {suggest.Edit{"last", "", "", ""}, page[strings.Index(page, "  - when"):strings.Index(page, "\nlimits")], ""},
		"a member of a block map": {suggest.Edit{"reads", "when", "", ""}, page[strings.Index(page, "    when: |"):strings.Index(page, "    scopes: [a:read")], ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 1, strings.Count(page, c.old), c.old)
			got, err := c.edit.Apply(page)
			require.NoError(t, err)
			require.Equal(t, strings.Replace(page, c.old, c.new, 1), got)
			_, err = suggest.Edit{c.edit.Rule, c.edit.Key, c.edit.Item, ""}.Apply(got)
			if c.edit.Value == "" {
				require.ErrorContains(t, err, "it is not there", "a second time")
			}
		})
	}
}

func TestAnEditThatIsNotSafeIsNotMade(t *testing.T) {
	for name, c := range map[string]struct {
		edit suggest.Edit
		text string
		why  string
	}{
		"a comment in a flow list":   {suggest.Edit{"last", "scopes", "m:one", ""}, page, "layout"},
		"a line end in a flow list":  {suggest.Edit{"last", "scopes", "m:three", ""}, page, "layout"},
		"a member of a flow map":     {suggest.Edit{"flow", "refresh", "", ""}, page, "layout"},
		"the member after a dash":    {suggest.Edit{"last", "when", "", ""}, page, "layout"},
		"an escape":                  {suggest.Edit{"r", "scopes", "aa", ""}, `allow: [{rule: r, scopes: ["\u0061a", b]}]`, "layout"},
		"a doubled quote":            {suggest.Edit{"r", "scopes", "a'b", ""}, `allow: [{rule: r, scopes: ['a''b', c]}]`, "layout"},
		"a rule of a flow list":      {suggest.Edit{"r", "", "", ""}, `allow: [{rule: r}, {rule: s}]`, "layout"},
		"a list of lines":            {suggest.Edit{"r", "scopes", "b", ""}, "allow:\n- rule: r\n  scopes: - a\n", "layout"},
		"the only entry":             {suggest.Edit{"r", "scopes", "a", ""}, "allow:\n- rule: r\n  scopes: [a]\n", "nothing would be left"},
		"the only rule":              {suggest.Edit{"r", "", "", ""}, "allow:\n- rule: r\n  scopes: [a]\n", "nothing would be left"},
		"no such rule":               {suggest.Edit{"q", "", "", ""}, page, "not there"},
		"no such entry":              {suggest.Edit{"reads", "scopes", "q", ""}, page, "not there"},
		"no such member":             {suggest.Edit{"writes", "refresh", "", "false"}, page, "not there"},
		"a value that is no list":    {suggest.Edit{"", "client", "bot", ""}, page, "not there"},
		"no document":                {suggest.Edit{"r", "", "", ""}, "a: &b c", "layout"},
		"lines of another separator": {suggest.Edit{"r", "scopes", "b", ""}, "# \u2028\nallow:\n- rule: r\n  scopes:\n  - a\n  - b\n", "layout"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.edit.Apply(c.text)
			require.ErrorContains(t, err, c.why)
		})
	}
}

// FuzzEdit requires that an edit takes one part of the text out, and puts nothing there but the value.
func FuzzEdit(f *testing.F) {
	f.Add(page, "reads", "scopes", "a:list", "")
	f.Add(page, "writes", "", "", "")
	f.Add(page, "reads", "lifetime", "", "90s")
	f.Add("allow:\n- rule: r\n  scopes:\n  - a\n  - b", "r", "scopes", "b", "")
	f.Fuzz(func(t *testing.T, text, rule, key, item, value string) {
		out, err := suggest.Edit{rule, key, item, value}.Apply(text)
		if err != nil {
			return
		}
		for len(out) > 0 && len(text) > 0 && out[0] == text[0] {
			out, text = out[1:], text[1:]
		}
		for len(out) > 0 && len(text) > 0 && out[len(out)-1] == text[len(text)-1] {
			out, text = out[:len(out)-1], text[:len(text)-1]
		}
		require.LessOrEqual(t, len(out), len(value))
	})
}

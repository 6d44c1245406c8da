package lineage

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSelectorOfEveryKind(t *testing.T) {
	id := IDOf(nil).String()
	for text, absolute := range map[string]bool{
		"token:" + id: true, "task:" + id: true, "grant:" + id: true, "session:s1": true, "key:2026-03": true,
		"subject:alice@example.com": false, "actor:spiffe://acme.example/bot": false, "client:support-bot": false,
		"connection:a:b": false, "path:/agents": false,
	} {
		sel, err := ParseSelector(text)
		require.NoError(t, err, text)
		require.Equal(t, text, sel.String())
		require.Equal(t, absolute, sel.Absolute(), text)
		kind, value, _ := strings.Cut(text, ":")
		require.Equal(t, Selector{kind, value}, sel, "split at the first colon")
	}
}

func TestParseSelectorRefuses(t *testing.T) {
	id := IDOf(nil).String()
	for name, list := range map[string][]string{
		"no kind":       {"", ":", "alice", ":alice", "subject"},
		"no value":      {"subject:", "token:", "task:", "grant:", "session:", "key:", "path:"},
		"unknown kind":  {"user:alice", "Subject:alice", "subject :alice", " subject:alice", "tokens:" + id, "*:alice", "jti:" + id},
		"not an id":     {"token:abc", "task:*", "grant:" + id + "=", "token:" + id[1:], "token:" + strings.Repeat("A", 43), "token: " + id, "token:" + id[:42] + "\n"},
		"not a name":    {"subject:a\nb", "client:\x00", "subject:\xff", "actor:\x1b[31m", "subject:" + strings.Repeat("a", 513)},
		"other colons":  {"subject：alice", "subject\x00:alice"},
		"two selectors": {"subject:a\nsubject:b"},
	} {
		for _, s := range list {
			_, err := ParseSelector(s)
			require.ErrorIs(t, err, errSelector, "%s: %q", name, s)
		}
	}
}

func TestSelectorJSON(t *testing.T) {
	raw, err := json.Marshal([]Selector{{SelectClient, "a:b"}})
	require.NoError(t, err)
	require.JSONEq(t, `["client:a:b"]`, string(raw))
	var back []Selector
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, []Selector{{SelectClient, "a:b"}}, back)
	require.ErrorIs(t, json.Unmarshal([]byte(`["user:x"]`), &back), errSelector)
	require.False(t, Selector{}.Absolute())
}

func TestPathSelectors(t *testing.T) {
	for path, want := range map[string][]string{
		"/":         {"/"},
		"":          {"/"},
		"/a":        {"/", "/a"},
		"/a/b":      {"/", "/a", "/a/b"},
		"/a/bc/d":   {"/", "/a", "/a/bc", "/a/bc/d"},
		"/agents/x": {"/", "/agents", "/agents/x"},
	} {
		var got []string
		for _, s := range PathSelectors(path) {
			require.Equal(t, SelectPath, s.Kind)
			got = append(got, s.Value)
		}
		require.Equal(t, want, got, path)
	}
	require.NotContains(t, PathSelectors("/agents/support-bot"), Selector{SelectPath, "/agents/support"}, "whole segments only")
}

func TestUnionIsASortedSet(t *testing.T) {
	a, b, c := Selector{SelectActor, "x"}, Selector{SelectClient, "a"}, Selector{SelectClient, "b"}
	in := []Selector{c, a}
	require.Equal(t, []Selector{a, b, c}, Union(in, []Selector{b, c}, nil))
	require.Equal(t, []Selector{c, a}, in, "the operands are left alone")
	require.Empty(t, Union())
}

func FuzzParseSelector(f *testing.F) {
	for _, s := range []string{
		"", ":", "subject:alice", "token:" + IDOf(nil).String(), "path:/a/b", "connection:a:b", "user:x", "key:\n", "client:\xff",
		"token:" + ID{0: 1}.String()[:42] + "\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sel, err := ParseSelector(s)
		if err != nil {
			return
		}
		require.Equal(t, s, sel.String())
		require.NotEmpty(t, sel.Value)
		raw, err := json.Marshal(sel)
		require.NoError(t, err)
		var back Selector
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, sel, back)
	})
}

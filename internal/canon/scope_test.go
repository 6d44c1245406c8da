package canon

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScopeIsOneToken(t *testing.T) {
	for _, ok := range []string{"a", "cases:read", "!", "~", "https://example.com/x", "Cases:Read", strings.Repeat("s", MaxScope)} {
		require.NoError(t, Scope(ok), ok)
	}
	for reason, list := range map[string][]string{
		"empty scope":                     {""},
		"scope too long":                  {strings.Repeat("s", MaxScope+1)},
		"scope has a forbidden character": {"a b", " ", `a"b`, `a\b`, "a\n", "\x00", "\x7f", "é", "\xff"},
	} {
		for _, s := range list {
			require.EqualError(t, Scope(s), reason, "%q", s)
		}
	}
}

func TestScopesIsASet(t *testing.T) {
	in := []string{"b", "a", "b", "B"}
	got, err := Scopes(in)
	require.NoError(t, err)
	require.Equal(t, []string{"B", "a", "b"}, got)
	require.Equal(t, []string{"b", "a", "b", "B"}, in, "the caller's list is left alone")

	_, err = Scopes([]string{"a", "b c"})
	require.EqualError(t, err, "scope has a forbidden character")

	got, err = Scopes(nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestScopesAreBounded(t *testing.T) {
	most := slices.Repeat([]string{"a"}, MaxScopes)
	_, err := Scopes(most)
	require.NoError(t, err)
	_, err = Scopes(append(most, "a"))
	require.EqualError(t, err, "too many scopes")
}

func TestParseScope(t *testing.T) {
	for in, want := range map[string][]string{
		"":          nil,
		"a":         {"a"},
		"b a":       {"a", "b"},
		"a a a":     {"a"},
		"read Read": {"Read", "read"},
	} {
		got, err := ParseScope(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{" ", "a ", " a", "a  b", "a\tb", "a\nb", "a,b \x00"} {
		_, err := ParseScope(in)
		require.ErrorContains(t, err, "scope parameter", "%q", in)
	}
}

func TestParseScopeIsBounded(t *testing.T) {
	most := strings.TrimSuffix(strings.Repeat("a ", MaxScopes), " ")
	_, err := ParseScope(most)
	require.NoError(t, err)
	_, err = ParseScope(most + " a")
	require.EqualError(t, err, "too many scopes")

	longest := strings.TrimSuffix(strings.Repeat(strings.Repeat("s", MaxScope)+" ", MaxScopes), " ")
	_, err = ParseScope(longest)
	require.NoError(t, err)
	_, err = ParseScope(longest + strings.Repeat("s", MaxScope))
	require.EqualError(t, err, "scope parameter too long")
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"", "a", "a b", "a  b", " a", `a"`, "é", "cases:read contacts:read"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseScope(in)
		if err != nil {
			require.Nil(t, got)
			return
		}
		require.True(t, slices.IsSorted(got))
		require.LessOrEqual(t, len(got), MaxScopes)
		asked := strings.Split(in, " ")
		for _, s := range got {
			require.NoError(t, Scope(s))
			require.Contains(t, asked, s, "nothing is granted a name that was not asked for")
		}
		again, err := ParseScope(strings.Join(got, " "))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

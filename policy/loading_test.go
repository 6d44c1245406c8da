package policy

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

// mallocs counts what f allocates.
func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// Not even the first decision compiles anything: it allocates a fraction of what one condition takes to compile.
func TestDecidingCompilesNothing(t *testing.T) {
	fsys := tree(map[string]string{"crm.yaml": leafOf(realisticRules(10))})
	var set *Set
	compiling := mallocs(func() {
		var err error
		set, err = Load(fsys)
		require.NoError(t, err)
	})
	require.Greater(t, compiling, uint64(10_000), "positive control")
	f := benchRequest()
	var v tokenboundary.Verdict
	deciding := mallocs(func() { v, _ = set.Evaluate(t.Context(), f) })
	require.Equal(t, tokenboundary.Allow, v.Effect)
	require.Less(t, deciding, uint64(500))
}

// A set that comes after another takes over the programs of the conditions that stayed, and compiles the others.
func TestReloadingCompilesWhatIsNew(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "crm.yaml"), []byte(text), 0o600))
	}
	text := leafOf("allow:\n- {rule: stays, when: client.id != 'a', scopes: [cases:read]}\n- {rule: changes, when: client.id != 'b', scopes: [cases:write]}\n" +
		"deny:\n- {rule: goes, when: client.id == 'c'}\n")
	write(text)
	w, err := Watch(t.Context(), dir, WatchOptions{Interval: time.Hour})
	require.NoError(t, err)
	programs := func() map[string]*program { return w.set.Load().beside(nil, nil).known }
	before := programs()
	require.Len(t, before, 3)
	write(strings.NewReplacer("!= 'b'", "!= 'x'", "== 'c'", "== 'y'").Replace(text))
	require.NoError(t, w.Reload(t.Context()))
	after := programs()
	require.Len(t, after, 3)
	require.Same(t, before["client.id != 'a'"], after["client.id != 'a'"])
	for _, gone := range []string{"client.id != 'b'", "client.id == 'c'"} {
		require.Contains(t, before, gone)
		require.NotContains(t, after, gone)
	}
	f := request()
	f.Client.ID, f.Scopes = "support-bot", []string{"cases:read", "cases:write"}
	v, err := w.Evaluate(t.Context(), f)
	require.NoError(t, err)
	require.Len(t, v.Access[0].Scopes, 2, "what was taken over decides in the new set")
}

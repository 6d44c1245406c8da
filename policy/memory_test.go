package policy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// leafFor is a leaf for one client.
func leafFor(client, when string) string {
	return fmt.Sprintf("bind: {client: %s, connection: salesforce-prod, resource: https://crm.example.com/}\n"+
		"allow: [{rule: r, when: %q, scopes: [cases:read, cases:write], lifetime: 5m, delegates: [tool], resources: [https://crm.example.com/]}]\n", client, when)
}

// watchedTree is a watched directory that a test changes.
type watchedTree struct {
	*Watched
	t   *testing.T
	dir string
}

func newWatchedTree(t *testing.T) *watchedTree {
	w := &watchedTree{t: t, dir: t.TempDir()}
	w.write("a.yaml", leafFor("a", "true"))
	w.write("b.yaml", leafFor("b", "true"))
	w.write("boundary.yaml", "deny: [{rule: no, when: \"client.id == 'c'\"}]\n")
	var err error
	w.Watched, err = Watch(t.Context(), w.dir, WatchOptions{Interval: time.Hour})
	require.NoError(t, err)
	return w
}

func (w *watchedTree) write(name, text string) {
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}

// decides reports whether the client is granted something, and that it is decided as by a set that remembers nothing.
func (w *watchedTree) decides(client string) bool {
	f := request()
	f.Client.ID, f.Connection, f.Scopes = client, "salesforce-prod", []string{"cases:read"}
	v, err := w.Evaluate(w.t.Context(), f)
	require.NoError(w.t, err)
	fresh, err := Load(os.DirFS(w.dir))
	require.NoError(w.t, err)
	again, err := fresh.Evaluate(w.t.Context(), f)
	require.NoError(w.t, err)
	require.Equal(w.t, again, v)
	return v.Effect == tokenboundary.Allow
}

// What has not changed is not read again, and decides as if it had been.
func TestReloadingReadsWhatHasChanged(t *testing.T) {
	w := newWatchedTree(t)
	before := w.memory.known
	require.Len(t, before, 3)
	require.True(t, w.decides("a") && w.decides("b"), "positive control")
	w.write("b.yaml", leafFor("b", "client.id == 'x'"))
	require.NoError(t, w.Reload(t.Context()))
	require.Same(t, before["a.yaml"].doc, w.memory.known["a.yaml"].doc)
	require.Same(t, before["boundary.yaml"].doc, w.memory.known["boundary.yaml"].doc)
	require.NotSame(t, before["b.yaml"].doc, w.memory.known["b.yaml"].doc)
	require.True(t, w.decides("a"))
	require.False(t, w.decides("b"))
	require.NoError(t, os.Remove(filepath.Join(w.dir, "a.yaml")))
	require.NoError(t, os.Rename(filepath.Join(w.dir, "b.yaml"), filepath.Join(w.dir, "moved.yaml")))
	require.NoError(t, w.Reload(t.Context()))
	require.Len(t, w.memory.known, 2)
	require.NotSame(t, before["b.yaml"].doc, w.memory.known["moved.yaml"].doc, "its name is part of what it says")
	require.False(t, w.decides("a"))
}

// What names of documents say is not taken from another document with the same bytes.
func TestTheSameBytesElsewhereAreAnotherDocument(t *testing.T) {
	w := newWatchedTree(t)
	a, b := leafFor("a", "true"), leafFor("b", "true")
	w.write("a.yaml", b)
	w.write("b.yaml", a)
	require.NoError(t, w.Reload(t.Context()))
	f := request()
	f.Client.ID, f.Connection, f.Scopes = "a", "salesforce-prod", []string{"cases:read"}
	v, err := w.Evaluate(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, "/b", v.Path)
	require.True(t, w.decides("a") && w.decides("b"))
}

// A set that does not load leaves what is remembered as it is, and what is wrong with it is said again.
func TestARefusedSetIsNotRemembered(t *testing.T) {
	w := newWatchedTree(t)
	before := w.memory.known
	for name, wrong := range map[string]string{
		"syntax": "bind: [", "condition": leafFor("b", "client.id"), "bound twice": leafFor("a", "true"),
	} {
		w.write("b.yaml", wrong)
		for range 2 {
			var no *LoadError
			require.ErrorAs(t, w.Reload(t.Context()), &no, name)
			require.Equal(t, "b.yaml", no.Problems[0].File, name)
		}
		require.Equal(t, before, w.memory.known, name)
	}
	w.write("b.yaml", leafFor("b", "true"))
	require.NoError(t, w.Reload(t.Context()))
	require.Same(t, before["b.yaml"].doc, w.memory.known["b.yaml"].doc)
	require.True(t, w.decides("a") && w.decides("b"))
}

// What decides shares texts with what is remembered, and nobody writes to them: this is for the race detector.
func TestReloadingChangesNothingThatDecides(t *testing.T) {
	w := newWatchedTree(t)
	f := request()
	f.Client.ID, f.Connection, f.Scopes = "a", "salesforce-prod", []string{"cases:read"}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				v, err := w.Evaluate(context.WithoutCancel(ctx), f)
				if err != nil || v.Effect != tokenboundary.Allow || v.Reasons[0].Delegates[0] != "tool" ||
					v.Access[0].Resource != "https://crm.example.com/" || len(w.set.Load().Rules()) != 3 {
					t.Error(v, err)
				}
			}
		})
	}
	for i := range 30 {
		w.write("b.yaml", leafFor("b", fmt.Sprintf("client.id == 'b%d'", i%3)))
		require.NoError(t, w.Reload(t.Context()))
	}
	stop()
	all.Wait()
	require.Equal(t, []lineage.Reason{{Resource: "https://crm.example.com/", Scope: "cases:read", Granted: true, Rule: "/a#r", Delegates: []string{"tool"}}},
		func() []lineage.Reason { v, _ := w.Evaluate(t.Context(), f); return v.Reasons }())
}

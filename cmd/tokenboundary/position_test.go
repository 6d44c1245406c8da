package main_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyStore returns a function that puts the store back as it is now.
func (w *world) copyStore() (restore func()) {
	path := filepath.Join(w.dir, "boundary.db")
	saved, err := os.ReadFile(path)
	require.NoError(w.t, err)
	return func() { require.NoError(w.t, os.WriteFile(path, saved, 0o600)) }
}

func (w *world) revoked(token any) {
	w.t.Helper()
	status, _ := w.form("/revoke", w.asBot(url.Values{"token": {token.(string)}}))
	require.Equal(w.t, http.StatusOK, status)
	w.requireDead(token)
}

// newest returns the place of the newest entry of the feed.
func (w *world) newest() string {
	w.t.Helper()
	status, body := w.get("/revocations", basic("ops", opsSecret))
	require.Equal(w.t, http.StatusOK, status)
	entries := body["entries"].([]any)
	return strconv.FormatFloat(entries[len(entries)-1].(map[string]any)["seq"].(float64), 'f', 0, 64)
}

func TestAStoreThatLostARevocationIsNotServed(t *testing.T) {
	for name, lose := range map[string]func(w *world, restore func()){
		"restored from a copy": func(_ *world, restore func()) { restore() },
		"wiped":                func(w *world, _ func()) { require.NoError(w.t, os.Remove(filepath.Join(w.dir, "boundary.db"))) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).start()
			kept := w.token(w.asBot(w.exchange("alice", "cases:read")))["access_token"]
			revoked := w.token(w.asBot(w.exchange("bob", "cases:read")))["access_token"]
			w.revoked(w.token(w.asBot(w.exchange("carol", "cases:read")))["access_token"])
			w.end()
			restore := w.copyStore()
			w.start()
			w.requireActive(kept)
			w.revoked(revoked)
			place := w.newest()
			w.end() // an orderly end notes the last place

			lose(w, restore)
			_, stderr, code := command(t, "serve", "--config", w.config())
			require.Equal(t, 1, code)
			require.Contains(t, stderr, "an older copy of it")
			require.Contains(t, stderr, "--accept-store")

			w.start("--accept-store")
			w.requireDead(revoked)
			w.requireDead(kept) // nothing tells it from one whose revocation was lost
			status, _ := w.get("/revocations?after="+place, basic("ops", opsSecret))
			require.Equal(t, http.StatusGone, status, "readers of the feed begin anew")
			var fresh any
			w.eventually("a new key signs", func() bool {
				status, body := w.form("/token", w.asBot(w.exchange("dave", "cases:read")))
				fresh = body["access_token"]
				return status == http.StatusOK
			})
			w.requireActive(fresh)
			w.end()

			w.start() // what was accepted is known from now on
			w.requireActive(fresh)
			w.requireDead(revoked)
			w.end()
		})
	}
}

// TestAnAcceptedStoreKnowsNoRefreshTokenFromBefore: in a copy, one that was used or revoked since is whole.
func TestAnAcceptedStoreKnowsNoRefreshTokenFromBefore(t *testing.T) {
	w := newFlows(t)
	kept, used := w.hold("alice"), w.hold("bob")
	w.end()
	restore := w.copyStore()
	w.start()
	w.token(refresh(used.refresh, ""), as("agent")) // control
	w.end()

	restore()
	w.start("--accept-store")
	for _, h := range []held{kept, used} {
		w.refused("invalid_grant", refresh(h.refresh, ""), as("agent"))
	}
	var fresh any
	w.eventually("a new key signs", func() bool {
		status, body := w.form("/token", w.exchange("carol", "cases:read"), as("agent"))
		fresh = body["refresh_token"]
		return status == http.StatusOK
	})
	w.end()
	w.start()
	w.token(refresh(fresh, ""), as("agent"))
}

// TestAStoreFromBeforeTheLastStartIsNotServed: nothing was revoked, but an assertion was used.
func TestAStoreFromBeforeTheLastStartIsNotServed(t *testing.T) {
	w := newWorld(t).start()
	w.end()
	restore := w.copyStore()
	w.start()
	form := w.asBot(w.exchange("alice", "cases:read"))
	w.token(form)
	w.kill()

	restore()
	_, stderr, code := command(t, "serve", "--config", w.config())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "--accept-store")
	w.start("--accept-store")
	w.end()
	w.start()
	w.end()
}

// TestAStartThatBrokeOffIsNoLoss: between the file and the store nothing is lost.
func TestAStartThatBrokeOffIsNoLoss(t *testing.T) {
	w := newWorld(t).start()
	w.end()
	file := filepath.Join(w.dir, "signing", "position.json")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var s map[string]any
	require.NoError(t, json.Unmarshal(raw, &s))
	write := func(members map[string]any) {
		raw, err := json.Marshal(members)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, raw, 0o600))
	}
	moved := map[string]any{"node": s["node"], "seq": s["seq"], "store": s["store"], "mark": "not in the store yet"}
	write(moved)
	_, stderr, code := command(t, "serve", "--config", w.config())
	require.Equal(t, 1, code, "control: another mark is a loss")
	require.Contains(t, stderr, "--accept-store")

	write(map[string]any{"seq": s["seq"], "mark": s["mark"]})
	_, stderr, code = command(t, "serve", "--config", w.config())
	require.Equal(t, 1, code, "a file that names no store")
	require.Contains(t, stderr, "--accept-store")

	moved["was"] = map[string]any{"store": s["store"], "mark": s["mark"]}
	write(moved)
	w.start()
	w.end()
}

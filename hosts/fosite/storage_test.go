package fosite_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/storage"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// brokenStorage is the server's storage, of which reading an access token and writing a refresh token may fail.
type brokenStorage struct {
	*storage.MemoryStore
	err, refresh error
}

func (s *brokenStorage) CreateRefreshTokenSession(ctx context.Context, signature, access string, r fosite.Requester) error {
	if s.refresh != nil {
		return s.refresh
	}
	return s.MemoryStore.CreateRefreshTokenSession(ctx, signature, access, r)
}

func (s *brokenStorage) GetAccessTokenSession(ctx context.Context, signature string, session fosite.Session) (fosite.Requester, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.MemoryStore.GetAccessTokenSession(ctx, signature, session)
}

// textStorage keeps requests as a database does: as text, which it reads into the session that it is given. Without one it
// returns none.
type textStorage struct {
	*storage.MemoryStore
	mu      sync.Mutex
	access  map[string]string
	refresh map[string]string
}

func newTextStorage(s *storage.MemoryStore) *textStorage {
	return &textStorage{MemoryStore: s, access: map[string]string{}, refresh: map[string]string{}}
}

func (s *textStorage) put(rows map[string]string, signature string, r fosite.Requester) error {
	text, err := json.Marshal(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	rows[signature] = string(text)
	return err
}

func (s *textStorage) get(rows map[string]string, signature string, session fosite.Session) (fosite.Requester, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := rows[signature]
	if !ok {
		return nil, fosite.ErrNotFound
	}
	if session == nil {
		return nil, errors.New("no session to read into")
	}
	r := &fosite.Request{Client: &fosite.DefaultClient{}, Session: session}
	return r, json.Unmarshal([]byte(text), r)
}

func (s *textStorage) CreateAccessTokenSession(ctx context.Context, signature string, r fosite.Requester) error {
	if err := s.MemoryStore.CreateAccessTokenSession(ctx, signature, r); err != nil {
		return err
	}
	return s.put(s.access, signature, r)
}

func (s *textStorage) GetAccessTokenSession(ctx context.Context, signature string, session fosite.Session) (fosite.Requester, error) {
	if r, err := s.MemoryStore.GetAccessTokenSession(ctx, signature, session); err != nil {
		return r, err
	}
	return s.get(s.access, signature, session)
}

func (s *textStorage) CreateRefreshTokenSession(ctx context.Context, signature, access string, r fosite.Requester) error {
	if err := s.MemoryStore.CreateRefreshTokenSession(ctx, signature, access, r); err != nil {
		return err
	}
	return s.put(s.refresh, signature, r)
}

func (s *textStorage) GetRefreshTokenSession(ctx context.Context, signature string, session fosite.Session) (fosite.Requester, error) {
	if r, err := s.MemoryStore.GetRefreshTokenSession(ctx, signature, session); err != nil {
		return r, err
	}
	return s.get(s.refresh, signature, session)
}

func TestADecisionSurvivesAStorageOfText(t *testing.T) {
	text := func(w *world) { w.storage = newTextStorage(w.host) }
	run := func(t *testing.T, w *world) {
		first := w.family("read write")
		child := w.granted(w.exchange("tool", first.text("access_token"), tb.TypeAccessToken, "read"))
		next := w.granted(w.refresh("orchestrator", first.text("refresh_token")))
		require.Equal(t, map[string]any{"sub": "orchestrator", "iss": issuer}, w.claims(next)["act"])
		next = w.granted(w.refresh("orchestrator", next.text("refresh_token")))
		w.active(next.text("access_token"))
		w.active(next.text("refresh_token"))
		w.active(child.text("access_token"))
		require.Equal(t, 200, w.post("/revoke", "orchestrator", form("token", next.text("access_token"))).status)
		w.dead(child.text("access_token"))
		w.dead(next.text("access_token"))
		for _, row := range w.storage.(*textStorage).access {
			require.NotContains(t, row, "tokenboundary_decision", "the decision itself is not kept")
			require.NotContains(t, row, "/agents/", "nor what the policy said")
		}
	}
	t.Run("jwt", func(t *testing.T) { run(t, newWorld(t, text)) })
	t.Run("hmac", func(t *testing.T) { run(t, newWorld(t, opaque, text)) })
}

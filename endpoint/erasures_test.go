package endpoint_test

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Records implements store.Forgetter for a Store that is one.
func (f *faulty) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return f.Store.(store.Forgetter).Records(ctx, issuer, from)
}

// Forget implements store.Forgetter for a Store that is one.
func (f *faulty) Forget(ctx context.Context, r store.Removal) error {
	if s, ok := f.Store.(store.Forgetter); ok {
		return s.Forget(ctx, r)
	}
	return errors.ErrUnsupported
}

// Records implements store.Forgetter.
func (c *counting) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	c.reads.Add(1)
	return c.Store.(store.Forgetter).Records(ctx, issuer, from)
}

// Forget implements store.Forgetter.
func (c *counting) Forget(ctx context.Context, r store.Removal) error {
	c.writes.Add(1)
	return c.Store.(store.Forgetter).Forget(ctx, r)
}

func TestErasureOfAPerson(t *testing.T) {
	s := newServer(t)
	tok := s.ok(s.exchanged("support-bot", s.human("alice"), tokenboundary.TypeIDToken, "scope", "cases:read")).text("access_token")
	id := s.claims(tok)["jti"].(string)
	require.Equal(t, "user:alice", s.claims(tok)["sub"])
	erase := func(client, body string) answer { return s.do(client, "POST", "/erasures", jsonType, body) }
	const alice = `{"selector":"subject:user:alice"}`

	a := s.ok(erase("ops", alice))
	require.Equal(t, 200, a.status)
	require.EqualValues(t, 0, a.body["erased"])
	require.EqualValues(t, 1, a.body["remaining"])
	require.Equal(t, true, a.body["complete"])
	require.Contains(t, s.ok(s.get("ops", "/lineage/"+id)).raw, "alice", "control")

	s.ok(s.do("ops", "POST", "/revocations", jsonType, alice))
	b := s.ok(erase("ops", alice))
	require.EqualValues(t, 1, b.body["erased"])
	require.EqualValues(t, 0, b.body["remaining"])
	require.Equal(t, a.body["digest"], b.body["digest"])
	left := s.ok(s.get("ops", "/lineage/"+id))
	require.NotContains(t, left.raw, "alice")
	record := left.body["records"].([]any)[0].(map[string]any)
	raw, err := base64.RawURLEncoding.DecodeString(record["raw"].(string))
	require.NoError(t, err)
	require.Equal(t, id, lineage.IDOf(raw).String(), "and the envelope is what its address says")
	require.NotContains(t, record, "raw_body")
	require.Equal(t, true, record["record"].(map[string]any)["erased"])
	require.Equal(t, "revoked", record["state"])

	for body, why := range map[string]string{
		`{}`: "selector", `{"selector":"alice"}`: "selector", `{"selector":""}`: "selector", `{"selector":"subject:"}`: "selector",
		`{"selector":"client:crm-tool"}`: "", `{"selector":"path:/"}`: "", `{"selector":"subject:alice","now":true}`: "unknown member",
		`[]`: "",
	} {
		s.refused(erase("ops", body), 400, "invalid_request", why)
	}
	s.refused(erase("crm", alice), 403, "unauthorized_client", "")
	s.refused(erase("support-bot", alice), 403, "unauthorized_client", "")
	s.refused(erase("", alice), 401, "invalid_client", "")
	s.refused(s.do("ops", "GET", "/erasures", "", ""), 405, "invalid_request", "")
}

// A store without the power keeps everything, and says so.
func TestErasureInAStoreThatKeepsEverything(t *testing.T) {
	s := newServer(t)
	s.store.Store = struct{ store.Store }{s.store.Store}
	s.refused(s.do("ops", "POST", "/erasures", jsonType, `{"selector":"subject:alice"}`), 501, "invalid_request", "keeps everything")
}

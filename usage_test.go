package tokenboundary_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// usage is what is known of the use of a token.
func (w *world) usage(id lineage.ID) []lineage.Usage {
	w.Helper()
	nodes, err := w.Lineage(w.ctx, ops, id)
	require.NoError(w, err)
	direct, err := tb.UsageOf(w.ctx, w.store, issuer, []lineage.ID{id})
	require.NoError(w, err)
	require.Equal(w, direct[0], nodes[len(nodes)-1].Usage, "who reads the store sees what an operator sees")
	return direct[0]
}

// reports reports uses by a resource.
func (w *world) reports(resource string, uses ...tb.Use) tb.UsageReceipt {
	w.Helper()
	r, err := w.ReportUsage(w.ctx, w.clients[resource], uses)
	require.NoError(w, err)
	require.Equal(w, len(uses), r.Accepted+len(r.Refused))
	return r
}

// withMail registers a second resource.
func withMail(w *world) {
	minting(w)
	w.clients["mail"] = tb.Client{ID: "mail", Kind: tb.KindResource, Resource: mail}
}

// TestUsageIsTheSumOfTheReports: whatever comes in what order and in which batches, each resource's part is the sum of what
// it said.
func TestUsageIsTheSumOfTheReports(t *testing.T) {
	w := newWorld(t, withMail)
	req := w.exchange("tool", w.human("alice"), crm, "read", "write")
	req.Resource = []string{crm, mail}
	tok := w.issued(req)
	start := w.clock.Now()
	w.clock.Add(4 * time.Minute)
	random := rand.New(rand.NewPCG(1, 2))
	want := map[string]*lineage.Usage{"crm": {Resource: crm}, "mail": {Resource: mail}}
	for range 40 {
		who := []string{"crm", "mail"}[random.IntN(2)]
		var batch []tb.Use
		for range 1 + random.IntN(5) {
			u := tb.Use{
				Token: tok.ID, At: start.Add(time.Duration(random.IntN(240)) * time.Second), Count: uint64(random.IntN(4)),
				Scopes: [][]string{nil, {"read"}, {"write", "read", "read"}}[random.IntN(3)],
			}
			batch = append(batch, u)
			scopes := u.Scopes
			if len(scopes) == 3 {
				scopes = []string{"read", "write"}
			}
			want[who].Add(u.At, scopes, max(u.Count, 1))
		}
		require.Empty(t, w.reports(who, batch...).Refused)
	}
	require.ElementsMatch(t, []lineage.Usage{*want["crm"], *want["mail"]}, w.usage(tok.ID))
	again := *want["crm"]
	again.Add(start, nil, 1)
	w.reports("crm", tb.Use{Token: tok.ID, At: start})
	require.Contains(t, w.usage(tok.ID), again)
}

// TestUsageOfManyNodesAddsUp: nodes that count the same tokens at once lose nothing.
func TestUsageOfManyNodesAddsUp(t *testing.T) {
	w := newWorld(t, minting)
	uses := make([]tb.Use, 8)
	for i := range uses {
		uses[i] = tb.Use{Token: w.issued(w.exchange("tool", w.human("alice"), crm, "read")).ID, At: w.clock.Now(), Scopes: []string{"read"}}
	}
	const nodes, reports = 4, 10
	var wg sync.WaitGroup
	for range nodes {
		g := w.node()
		wg.Go(func() {
			for range reports {
				r, err := g.ReportUsage(w.ctx, w.clients["crm"], uses)
				if err != nil || r.Accepted != len(uses) {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
	for _, u := range uses {
		require.Equal(t, uint64(nodes*reports), w.usage(u.Token)[0].Count)
	}
}

// TestAReportIsOneReadAndOneWrite: whatever is in it.
func TestAReportIsOneReadAndOneWrite(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	uses := make([]tb.Use, 1000)
	for i := range uses {
		uses[i] = tb.Use{Token: lineage.ID{byte(i), byte(i >> 8), 1}, At: w.clock.Now()}
		if i%2 == 0 {
			uses[i].Token = tok.ID
		}
	}
	for op, most := range map[storetest.Op]int{storetest.Get: 1, storetest.Heads: 1, storetest.Commit: 1, storetest.Feed: 0, storetest.Scan: 0} {
		counted := storetest.FailOn(w.store, op, errors.New("boom")).Set(false)
		w.store = counted
		w.restart()
		before := counted.Calls()
		require.Equal(t, 500, w.reports("crm", uses...).Accepted)
		require.Equal(t, most, counted.Calls()-before, op)
		w.store = counted.Store
	}
}

// TestAUseChangesNothing: a token is neither ended nor kept alive by its use, and a use within the leeway of clocks is
// counted within its life.
func TestAUseChangesNothing(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	record := w.record(tok.ID)
	active := func() bool {
		s, err := w.Introspect(w.ctx, ops, tok.Value())
		require.NoError(t, err)
		return s.Active
	}
	early, late := record.IssuedAt.Add(-5*time.Second), record.ExpiresAt.Add(5*time.Second)
	require.Equal(t, 1, w.reports("crm", tb.Use{Token: tok.ID, At: early}).Accepted)
	require.True(t, active())
	w.clock.Set(late)
	require.False(t, active())
	require.Equal(t, 1, w.reports("crm", tb.Use{Token: tok.ID, At: late}).Accepted)
	require.False(t, active(), "a use does not keep a token alive")
	require.Equal(t, record, w.record(tok.ID))
	got := w.usage(tok.ID)[0]
	require.Equal(t, []time.Time{record.IssuedAt, record.ExpiresAt}, []time.Time{got.First, got.Last})
	w.clock.Add(24 * time.Hour)
	require.Equal(t, 1, w.reports("crm", tb.Use{Token: tok.ID, At: early}).Accepted, "a report may come late")
	for _, at := range []time.Time{early.Add(-1), late.Add(1), {}} {
		require.Equal(t, tb.UseTime, w.reports("crm", tb.Use{Token: tok.ID, At: at}).Refused[0].Why)
	}
}

// TestAUseAfterTheRevocationIsEvidence: it is counted as what it is, and the log says so. One from before is an honest one,
// whenever it is reported.
func TestAUseAfterTheRevocationIsEvidence(t *testing.T) {
	for _, sel := range []string{"token:", "client:tool", "subject:alice", "session:s-alice"} {
		var log bytes.Buffer
		w := newWorld(t, minting, func(w *world) { w.cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
		tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
		if sel == "token:" {
			sel += tok.ID.String()
		}
		at := w.clock.Now().Add(time.Minute)
		w.clock.Set(at)
		w.revoke(sel, lineage.Cut)
		w.clock.Add(time.Minute)
		within := []tb.Use{{Token: tok.ID, At: at.Add(-time.Second)}, {Token: tok.ID, At: at.Add(5 * time.Second), Count: 2}}
		require.Equal(t, 2, w.reports("crm", within...).Accepted)
		require.Zero(t, w.usage(tok.ID)[0].Revoked, sel)
		require.NotContains(t, log.String(), "used after it was revoked")

		require.Equal(t, 1, w.reports("crm", tb.Use{Token: tok.ID, At: at.Add(6 * time.Second), Count: 7}).Accepted)
		got := w.usage(tok.ID)[0]
		require.Equal(t, []uint64{10, 7}, []uint64{got.Count, got.Revoked}, sel)
		require.Contains(t, log.String(), `"level":"WARN","msg":"a token was used after it was revoked","resource":"crm","entries":1,"token":"`+tok.ID.String())
	}
}

// TestUsageNeedsTheFeedWhereATokenIsRevoked: what cannot be looked up is not taken for honest.
func TestUsageNeedsTheFeedWhereATokenIsRevoked(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	w.revoke("token:"+tok.ID.String(), lineage.Cut)
	for err, want := range map[error]error{errors.New("boom"): tb.ErrUnavailable, store.ErrGone: nil} {
		y := *w
		y.store = storetest.FailOn(w.store, storetest.Feed, err).After(0)
		y.restart()
		_, got := y.ReportUsage(w.ctx, w.clients["crm"], []tb.Use{{Token: tok.ID, At: w.clock.Now()}})
		require.ErrorIs(t, got, want)
	}
	require.Equal(t, uint64(1), w.usage(tok.ID)[0].Revoked, "a revocation that is not in the feed any more is older than any use")
}

// TestUsageRefusesWhatIsNoReport: nothing of it is counted.
func TestUsageRefusesWhatIsNoReport(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	good := tb.Use{Token: tok.ID, At: w.clock.Now()}
	many, scopes := good, good
	many.Count, scopes.Scopes = 1<<32+1, make([]string, 129)
	for _, uses := range [][]tb.Use{nil, make([]tb.Use, 1001), {good, many}, {good, scopes}} {
		_, err := w.ReportUsage(w.ctx, w.clients["crm"], uses)
		require.ErrorIs(t, err, tb.ErrInvalid)
	}
	for _, by := range []tb.Client{{}, ops, w.clients["tool"], {Kind: tb.KindResource, Resource: crm}} {
		_, err := w.ReportUsage(w.ctx, by, []tb.Use{good})
		require.ErrorIs(t, err, tb.ErrForbidden)
	}
	r, err := w.ReportUsage(w.ctx, tb.Client{ID: "crm", Kind: tb.KindResource}, []tb.Use{good})
	require.NoError(t, err)
	require.Equal(t, tb.UseUnknown, r.Refused[0].Why, "a resource that is not registered for one")
	require.Empty(t, w.usage(tok.ID))
	many.Count = 1 << 32
	require.Equal(t, 2, w.reports("crm", good, many).Accepted, "control")
	require.Equal(t, uint64(1<<32+1), w.usage(tok.ID)[0].Count)
}

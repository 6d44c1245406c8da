package lineagecli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/pgtest"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

const (
	issuer = "https://boundary.example"
	crm    = "https://crm.example.com/"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ops    = tb.Client{ID: "ops", Kind: tb.KindOperator}
	agents = []string{"orchestrator", "researcher", "tool"}
)

// world is a boundary over a store, and what it has issued.
type world struct {
	testing.TB
	*tb.Governor
	dir, config string
	clock       *clock.Mock
	store       keptStore
	rnd         *rand.Rand
	tokens      []tb.Token
	tasks       []lineage.ID
}

// configure writes what a server would be started with, on a store.
func configure(t testing.TB, dir, kept, more string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "policies"), 0o700))
	path := filepath.Join(dir, "boundary.yaml")
	require.NoError(t, os.WriteFile(path, []byte("issuer: "+issuer+"\nlisten: 127.0.0.1:0\nstore: "+kept+
		"\npolicies: policies\nsigning: {dir: keys}\nclients: []\n"+more), 0o600))
	return path
}

// onBolt is a world on a file.
func onBolt(t testing.TB, seed uint64) *world {
	t.Helper()
	dir := t.TempDir()
	s, err := bolt.Open(filepath.Join(dir, "boundary.db"))
	require.NoError(t, err)
	w := &world{TB: t, dir: dir, store: s, config: configure(t, dir, "{bolt: {path: boundary.db}}", "retention: {keep: 1h}\n")}
	w.govern(seed)
	return w
}

// onPostgres is a world in a schema of its own, and what runs a statement on it, in which {s} is the schema.
func onPostgres(t testing.TB, seed uint64) (w *world, execute func(sql string) int64) {
	t.Helper()
	dsn := pgtest.DSN(t)
	schema := fmt.Sprintf("tb_lineagecli_%d_%d", os.Getpid(), rand.Uint32())
	opts := postgres.Options{Schema: schema, Silent: true}
	require.NoError(t, postgres.Migrate(t.Context(), dsn, opts))
	execute = func(sql string) int64 {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, dsn)
		require.NoError(t, err)
		defer conn.Close(ctx) //nolint:errcheck // it was answered
		tag, err := conn.Exec(ctx, strings.ReplaceAll(sql, "{s}", schema))
		require.NoError(t, err, sql)
		return tag.RowsAffected()
	}
	t.Cleanup(func() { execute("DROP SCHEMA {s} CASCADE") })
	s, err := postgres.Open(t.Context(), dsn, opts)
	require.NoError(t, err)
	dir := t.TempDir()
	w = &world{TB: t, dir: dir, store: s, config: configure(t, dir, "{postgres: {dsn: '"+dsn+"', schema: "+schema+"}}", "retention: {keep: 1h}\n")}
	w.govern(seed)
	return w, execute
}

func (w *world) govern(seed uint64) {
	w.Helper()
	w.clock, w.rnd = clock.NewMock(), rand.New(rand.NewPCG(seed, 1))
	w.clock.Set(noon)
	m, err := mint.Open(w.Context(), mint.Config{Issuer: issuer, Store: w.store, Dir: filepath.Join(w.dir, "keys"), Clock: w.clock, Overlap: 24 * time.Hour})
	require.NoError(w, err)
	clients := tb.ClientMap{"ops": ops}
	for _, id := range agents {
		clients[id] = tb.Client{ID: id, Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange}, Connections: []string{"prod"}}
	}
	w.Governor, err = tb.New(tb.Config{
		Issuer: issuer, Store: w.store, Clock: w.clock, Clients: clients, Minter: m, Env: map[string]any{"frozen": false},
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return grant(f), nil }),
	})
	require.NoError(w, err)
}

// grant grants what the ceiling allows, but not everything that is asked for.
func grant(f tb.Facts) tb.Verdict {
	v := tb.Verdict{
		Effect: tb.Allow, Path: "/agents/" + f.Client.ID, Version: "v1", Resources: []string{crm}, Lifetime: 5 * time.Minute, Depth: 3, Derivations: 1000,
	}
	a := lineage.Access{Resource: crm}
	for _, s := range f.Scopes {
		if s == "admin" || f.Ceiling != nil && len(f.Ceiling.Scopes(crm)) < 2 && s == "write" {
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: crm, Scope: s, Why: "nobody may"})
			continue
		}
		a.Scopes = append(a.Scopes, s)
		v.Reasons = append(v.Reasons, lineage.Reason{Resource: crm, Scope: s, Granted: true, Rule: v.Path + "#all", Delegates: agents})
	}
	v.Access = []lineage.Access{a}
	return v
}

func (w *world) request(client string, subject tb.Credential, scopes ...string) tb.Request {
	return tb.Request{
		Grant: tb.Exchange, Subject: subject, Resource: []string{crm}, Scopes: scopes,
		Client: tb.Credential{Type: "host", ID: client, Verified: &tb.Principal{Party: lineage.Party{ID: client, Issuer: issuer}, Identity: true}},
	}
}

func (w *world) human(name string) tb.Credential {
	at := w.clock.Now().Add(-time.Minute)
	return tb.Credential{Type: tb.TypeIDToken, Verified: &tb.Principal{
		Party:   lineage.Party{ID: name, Issuer: "https://idp.example", Kind: "human"},
		Session: lineage.Session{Kind: "human", ID: "s-" + name, AuthTime: at},
		Issued:  at, Expires: w.clock.Now().Add(10 * time.Minute), Identity: true,
	}}
}

// issue asks for a token; what is refused is on record too.
func (w *world) issue(req tb.Request) (tb.Token, bool) {
	tok, err := w.Issue(w.Context(), req)
	if err == nil {
		w.tokens = append(w.tokens, tok)
		if !tok.TaskID.IsZero() && req.Task != nil {
			w.tasks = append(w.tasks, tok.TaskID)
		}
	}
	return tok, err == nil
}

// step does what happens at a boundary.
func (w *world) step() {
	w.clock.Add(time.Duration(w.rnd.IntN(20_000)) * time.Millisecond)
	pick := func(list []string) string { return list[w.rnd.IntN(len(list))] }
	subject := w.human(pick([]string{"alice", "bob", "carol"}))
	if len(w.tokens) > 0 && w.rnd.IntN(3) > 0 {
		subject = tb.Credential{Type: tb.TypeAccessToken, Value: w.tokens[max(0, len(w.tokens)-1-w.rnd.IntN(8))].Value()}
	}
	req := w.request(pick(agents), subject, pick([]string{"read", "write"}), "read", pick([]string{"read", "admin"}))
	selector := lineage.Selector{Kind: lineage.SelectSubject, Value: pick([]string{"alice", "bob", "carol"})}
	revoke := func(r lineage.Revocation) {
		_, err := w.Revoke(w.Context(), ops, r)
		require.NoError(w, err)
	}
	switch n := w.rnd.IntN(40); {
	case n == 0:
		revoke(lineage.Revocation{Selector: selector})
	case n == 1:
		revoke(lineage.Revocation{Selector: selector, Action: lineage.Block})
		w.clock.Add(time.Second)
		revoke(lineage.Revocation{Selector: selector, Action: lineage.Lift})
		w.clock.Add(20 * time.Second)
	case n == 2 && len(w.tokens) > 0:
		revoke(lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectToken, Value: w.tokens[w.rnd.IntN(len(w.tokens))].ID.String()}})
	case n < 6 && len(w.tasks) > 0:
		to := []tb.TaskState{tb.TaskSuspended, tb.TaskActive, tb.TaskCompleted, tb.TaskRevoked}[w.rnd.IntN(4)]
		_, _ = w.SetTask(w.Context(), ops, w.tasks[w.rnd.IntN(len(w.tasks))], to) // most moves are possible in some states only
	case n < 10:
		budget := uint64(20)
		req.Task = &tb.TaskSpec{Purpose: "triage", ExpiresIn: 30 * time.Minute, MaxDerivations: &budget}
		fallthrough
	default:
		w.issue(req)
	}
}

// over lets everything end, erases somebody, and forgets what is old but not what came later.
func (w *world) over() {
	w.clock.Add(8*time.Hour + 45*time.Minute) // a part of it is old enough to be forgotten then
	for range 30 {
		w.step()
	}
	for _, who := range []string{"subject:alice", "session:s-alice"} {
		sel, err := lineage.ParseSelector(who)
		require.NoError(w, err)
		_, err = w.Erase(w.Context(), ops, sel)
		require.NoError(w, err)
	}
	pruned, err := w.Prune(w.Context(), ops, tb.Retention{Keep: time.Hour})
	require.NoError(w, err)
	require.Positive(w, pruned.Records)
}

// run runs a command at the world's time, and returns what it has written.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs, w.clock)
	return out.String(), errs.String(), code
}

// verified is what verify says of the world's store.
func (w *world) verified(args ...string) (findings []string, sum summary, stderr string, code int) {
	w.Helper()
	if len(args) == 0 {
		args = []string{"--config", w.config}
	}
	out, stderr, code := w.run(append([]string{"verify", "--json"}, args...)...)
	for line := range strings.Lines(out) {
		var f struct {
			finding
			Summary *summary
		}
		require.NoError(w, json.Unmarshal([]byte(line), &f), line)
		switch {
		case f.Summary != nil:
			sum = *f.Summary
		case !f.Note:
			findings = append(findings, f.String())
		}
	}
	return findings, sum, stderr, code
}

func (w *world) close() {
	w.Helper()
	require.NoError(w, w.store.Close())
}

var _ store.Store = keptStore(nil)

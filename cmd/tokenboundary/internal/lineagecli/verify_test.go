package lineagecli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// clean requires that nothing is found in a store with a random history, and that there was something to find it in.
func clean(t *testing.T, w *world) summary {
	t.Helper()
	findings, sum, stderr, code := w.verified()
	require.Empty(t, findings)
	require.Zero(t, code, stderr)
	require.Positive(t, sum.Kinds[lineage.KindToken])
	require.Positive(t, sum.Kinds[lineage.KindTask])
	require.Positive(t, sum.Kinds[lineage.KindDenial])
	require.Positive(t, sum.Revocations)
	require.Positive(t, sum.Heads)
	return sum
}

// TestAnHonestStoreIsClean: after a random history, and after what is over was forgotten and somebody erased.
func TestAnHonestStoreIsClean(t *testing.T) {
	for _, on := range []string{"bolt", "postgres"} {
		t.Run(on, func(t *testing.T) {
			open := onBolt
			if on == "postgres" {
				open = func(t testing.TB, seed uint64) *world { w, _ := onPostgres(t, seed); return w }
			}
			for seed := range uint64(3) {
				w := open(t, seed)
				for range 150 {
					w.step()
				}
				w.over()
				w.close()
				sum := clean(t, w)
				require.Positive(t, sum.Erased, "seed %d", seed)
			}
		})
	}
}

func TestPrunedAncestorsAreNoted(t *testing.T) {
	w := onBolt(t, 1)
	parent, ok := w.issue(w.request("tool", w.human("alice"), "read"))
	require.True(t, ok)
	w.clock.Add(2 * time.Second)
	child, ok := w.issue(w.request("researcher", bearer(parent.Value()), "read"))
	require.True(t, ok)
	w.clock.Add(2 * time.Hour)
	w.issue(w.request("tool", w.human("bob"), "read"))
	require.NoError(t, w.store.Forget(t.Context(), store.Removal{Issuer: issuer, Records: []lineage.ID{parent.ID}}))
	w.close()
	out, _, code := w.run("verify", "--config", w.config)
	require.Zero(t, code, out)
	require.Contains(t, out, "note: records: "+child.ID.String()+": its ancestor "+parent.ID.String()+" is not there any more: it was over")
	require.Contains(t, out, "0 findings; 1 pruned ancestors")

	w.config = configure(t, w.dir, "{bolt: {path: boundary.db}}", "") // which keeps everything
	findings, _, _, code := w.verified()
	require.Equal(t, 1, code)
	require.Equal(t, []string{"records: " + child.ID.String() + ": its ancestor " + parent.ID.String() + " is not there, and the configuration keeps everything"}, findings)

	w.config = configure(t, w.dir, "{bolt: {path: boundary.db}}", "retention: {keep: 24h}\n")
	findings, _, _, code = w.verified()
	require.Equal(t, 1, code)
	require.Contains(t, findings[0], "is not there, and cannot be over")
}

// TestTheWrongIssuerIsNotClean: nothing to check proves nothing.
func TestTheWrongIssuerIsNotClean(t *testing.T) {
	w := onBolt(t, 1)
	w.step()
	_, stderr, code := w.run("verify", "--config", w.config)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "a server that runs keeps it to itself. Ask the server (GET /lineage), or give a copy with --store")
	w.close()
	file := filepath.Join(w.dir, "boundary.db")
	_, stderr, code = w.run("verify", "--store", file, "--issuer", issuer+"/")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "nothing is kept of "+issuer+"/: is it exactly the issuer that wrote this store?")
	_, stderr, code = w.run("verify", "--store", file, "--issuer", issuer)
	require.Zero(t, code, stderr)
}

// TestEveryChangeOfTheFileIsFound changes one bit of the file at a time, anywhere: what verify does not find has changed nothing
// that it looked at.
func TestEveryChangeOfTheFileIsFound(t *testing.T) {
	w := onBolt(t, 3)
	for range 60 {
		w.step()
	}
	w.close()
	honest := clean(t, w)
	file := filepath.Join(w.dir, "boundary.db")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var written []int // most of the file is room for more
	for at, c := range data {
		if c != 0 {
			written = append(written, at)
		}
	}
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	found, same := 0, 0
	for i := range rounds {
		damaged := bytes.Clone(data)
		at := written[w.rnd.IntN(len(written))]
		damaged[at] ^= 1 << w.rnd.IntN(8)
		require.NoError(t, os.WriteFile(file, damaged, 0o600))
		_, sum, _, code := w.verified()
		if code == 1 {
			found++
			continue
		}
		sum.Seconds, sum.Rate, honest.Seconds, honest.Rate = 0, 0, 0, 0
		require.Equal(t, honest, sum, "round %d: byte %d", i, at)
		same++
	}
	t.Logf("%d found, %d in pages that are free", found, same)
	require.Positive(t, found)
}

// TestTheWordsOfALog: what is still in the log is looked at as well.
func TestWhatIsInTheLogIsLookedAt(t *testing.T) {
	w := onBolt(t, 4)
	for range 40 {
		w.step()
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join(w.dir, "boundary.db") + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(copied+suffix, data, 0o400))
	}
	findings, sum, stderr, code := w.verified("--store", copied, "--config", w.config)
	require.Zero(t, code, stderr, findings)
	require.Greater(t, sum.Records, uint64(20))
	require.NoError(t, os.Chmod(copied+"-wal", 0o600))
	data, err := os.ReadFile(copied + "-wal")
	require.NoError(t, err)
	data[len(data)/2] ^= 4
	require.NoError(t, os.WriteFile(copied+"-wal", data, 0o600))
	_, _, stderr, code = w.verified("--store", copied, "--config", w.config)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "the file is damaged: its log")
	w.close()
}

// forged seals a record as one would that can write the store and knows its format.
func forged(t *testing.T, kind lineage.Kind, up *lineage.Record, change func(*lineage.Envelope, *lineage.Body)) lineage.Record {
	t.Helper()
	env := lineage.Envelope{Kind: kind, Issuer: issuer, IssuedAt: noon, Since: noon, ExpiresAt: noon.Add(time.Minute)}
	body := lineage.Body{Client: "tool", Subject: lineage.Party{ID: "eve"}, GrantType: "x", Granted: lineage.Authority{
		Access: []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, NotAfter: env.ExpiresAt,
	}}
	body.Selectors = []lineage.Selector{{Kind: lineage.SelectClient, Value: "tool"}, {Kind: lineage.SelectSubject, Value: "eve"}}
	if up != nil {
		env.Parents, env.Ancestors, env.Grant = []lineage.ID{up.ID()}, append(append([]lineage.ID{}, up.Ancestors...), up.ID()), up.Root()
		body.Selectors = lineage.Union(body.Selectors, up.Selectors())
	}
	if kind == lineage.KindTask {
		body.Task = &lineage.Task{Purpose: "x", Deadline: env.ExpiresAt, Authority: &body.Granted}
	}
	if change != nil {
		change(&env, &body)
	}
	r, err := lineage.Seal(env, body)
	require.NoError(t, err)
	return r
}

// TestEveryLawIsLookedAt writes what a store accepts and a boundary never makes. The same without the flaw is the control.
func TestEveryLawIsLookedAt(t *testing.T) {
	root := forged(t, lineage.KindToken, nil, nil)
	other := forged(t, lineage.KindToken, nil, nil)
	id := func(r lineage.Record) string { return r.ID().String() }
	put := func(records ...lineage.Record) []store.Tx { return []store.Tx{{Records: records}} }
	child := func(change func(*lineage.Envelope, *lineage.Body)) []store.Tx {
		return put(root, forged(t, lineage.KindToken, &root, change))
	}
	head := func(key, state string) []store.Tx { return []store.Tx{{Swaps: []store.Swap{{Key: key, State: state}}}} }
	cases := map[string]struct {
		txs  []store.Tx
		want string // empty: a control
	}{
		"an honest child": {child(nil), ""},
		"an honest task": {[]store.Tx{func() store.Tx {
			r := forged(t, lineage.KindTask, nil, nil)
			return store.Tx{Records: []lineage.Record{r}, Swaps: []store.Swap{{Key: "task:" + id(r), State: "active"}}}
		}()}, ""},
		"a child that outlives": {child(func(e *lineage.Envelope, _ *lineage.Body) { e.ExpiresAt = e.ExpiresAt.Add(time.Second) }), "outlives an ancestor"},
		"a child that exceeds": {child(func(_ *lineage.Envelope, b *lineage.Body) {
			b.Granted.Access = []lineage.Access{{Resource: crm, Scopes: []string{"read", "write"}}}
		}), "exceeds the authority of its parent"},
		"a child that lost a selector": {child(func(_ *lineage.Envelope, b *lineage.Body) {
			b.Subject.ID = "mallory"
			b.Selectors = []lineage.Selector{{Kind: lineage.SelectClient, Value: "tool"}, {Kind: lineage.SelectSubject, Value: "mallory"}}
		}), "lost a selector of its parent"},
		"a child of another grant": {put(root, other, forged(t, lineage.KindToken, &root, func(e *lineage.Envelope, b *lineage.Body) {
			e.Ancestors, e.Grant = []lineage.ID{other.ID(), root.ID()}, other.ID()
		})), "its parent belongs to another grant"},
		"a child of a denial": {func() []store.Tx {
			denial := forged(t, lineage.KindDenial, nil, nil)
			return put(denial, forged(t, lineage.KindToken, &denial, nil))
		}(), "descends from a denial or an approval, which nothing does"},
		"an orphan": {put(forged(t, lineage.KindToken, &root, nil)), "is not there, and cannot be over"},
		"a record that its subject does not cut": {put(forged(t, lineage.KindToken, nil, func(_ *lineage.Envelope, b *lineage.Body) {
			b.Selectors = b.Selectors[:1]
		})), "cannot be cut by its subject"},
		"a record that its path does not cut": {put(forged(t, lineage.KindToken, nil, func(_ *lineage.Envelope, b *lineage.Body) {
			b.Paths = []string{"/agents"}
		})), "cannot be cut by its path"},
		"a record that its key does not cut": {put(forged(t, lineage.KindToken, nil, func(_ *lineage.Envelope, b *lineage.Body) {
			b.Key = "k"
		})), "cannot be cut by its key"},
		"a record of the future": {put(forged(t, lineage.KindToken, nil, func(e *lineage.Envelope, b *lineage.Body) {
			e.IssuedAt, e.ExpiresAt = noon.Add(time.Hour), noon.Add(2*time.Hour)
		})), "after the store time"},
		"a task without a state":   {put(forged(t, lineage.KindTask, nil, nil)), "the state of the task is missing"},
		"a state without its task": {head("task:"+id(root), "active"), "the state of a task is there, and its record is not"},
		"a state of no task":       {append(put(root), head("task:"+id(root), "active")...), "the state of a task is there, but its record is a token"},
		"a task in no state":       {append(put(root), head("task:"+id(root), "happy")...), "a task is in an unknown state"},
		"a family without a grant": {head(prefix("family")+id(root), "active"), "the state of a refresh family is there, and its record is not"},
		"usage of nothing":         {head(prefix("usage")+id(root), "set"), "the usage of a token is there, and its record is not"},
		"a revocation of the future": {[]store.Tx{{Revocations: []lineage.Revocation{
			{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "eve"}, At: noon.Add(time.Hour)},
		}}}, "after the store time"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "store")
			s, err := bolt.Open(file)
			require.NoError(t, err)
			for _, tx := range c.txs {
				tx.Issuer, tx.Time = issuer, noon
				require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
			}
			require.NoError(t, s.Close())
			w := &world{TB: t, clock: onlyClock()}
			findings, _, stderr, code := w.verified("--store", file, "--issuer", issuer)
			if c.want == "" {
				require.Empty(t, findings)
				require.Zero(t, code, stderr)
				return
			}
			require.Equal(t, 1, code)
			require.Contains(t, fmt.Sprint(findings), c.want)
		})
	}
}

// TestEveryChangeOfADatabaseIsFound edits what lies in the tables: a column at a time, and rows that are taken out or added.
func TestEveryChangeOfADatabaseIsFound(t *testing.T) {
	w, execute := onPostgres(t, 5)
	for range 80 {
		w.step()
	}
	_, err := w.Revoke(t.Context(), ops, lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "stranger"}, Action: lineage.Block})
	require.NoError(t, err)
	w.close()
	clean(t, w)
	one := " WHERE ctid = (SELECT ctid FROM {s}.%s %s LIMIT 1)"
	change := func(table, set, where string) string {
		return fmt.Sprintf("UPDATE {s}.%s SET %s"+one, table, set, table, where)
	}
	flip := "set_byte(%[1]s, length(%[1]s)/2, 255 - get_byte(%[1]s, length(%[1]s)/2))"
	bytesOf := func(table, column, where string) string {
		return change(table, fmt.Sprintf("%s = "+flip, column), where)
	}
	r := "records_rest"
	says := map[string]string{
		"DELETE FROM {s}.revocations WHERE seq = 2":         "feed: the entries from 2 to 2 are missing",
		"UPDATE {s}.issuers SET seq = seq - 1":              "but the newest is",
		change("marks", "blocked = false", "WHERE blocked"): "is not blocked, although nothing has lifted it",
		change(r, "body = NULL", "WHERE body IS NOT NULL"):  "the selectors beside the record are not its own",
	}
	for i, sql := range []string{
		bytesOf(r, "envelope", ""), bytesOf(r, "body", "WHERE body IS NOT NULL"), bytesOf(r, "id", ""), bytesOf(r, "selectors", ""),
		change(r, "issued = issued + interval '1 second'", ""), "DELETE FROM {s}." + r + fmt.Sprintf(one, r, ""),
		change(r, "body = NULL", "WHERE body IS NOT NULL"),
		bytesOf("carriers_rest", "selector", ""), bytesOf("carriers_rest", "id", ""), "DELETE FROM {s}.carriers_rest" + fmt.Sprintf(one, "carriers_rest", ""),
		"INSERT INTO {s}.carriers SELECT issuer, decode(repeat('ab', 32), 'hex'), issued, id FROM {s}.carriers LIMIT 1",
		bytesOf("heads", "key", ""), bytesOf("heads", "sum", ""), "DELETE FROM {s}.heads WHERE convert_from(key, 'UTF8') LIKE 'task:%'",
		change("heads", "state = 'x'", "WHERE convert_from(key, 'UTF8') LIKE 'task:%'"),
		bytesOf("marks", "value", ""), bytesOf("marks", "sum", ""), "DELETE FROM {s}.marks" + fmt.Sprintf(one, "marks", ""),
		change("marks", "before = decode(repeat('00', 12), 'hex')", "WHERE NOT cut"), change("marks", "cut = NOT cut", ""),
		change("marks", "blocked = false", "WHERE blocked"), change("marks", "seq = seq + 1000", ""), "UPDATE {s}.marks SET seq = seq + 1 WHERE seq = (SELECT min(seq) FROM {s}.marks)", change("marks", "seq = 0", ""),
		bytesOf("revocations", "value", ""), bytesOf("revocations", "kind", ""), change("revocations", "action = 'x'", ""),
		"DELETE FROM {s}.revocations WHERE seq = 2", "DELETE FROM {s}.revocations WHERE seq = (SELECT max(seq) FROM {s}.revocations)",
		change("revocations", "at = decode(repeat('ff', 12), 'hex')", ""), change("revocations", "before = decode('ffffffff0000000000000000', 'hex')", "WHERE kind = 'subject'"),
		"UPDATE {s}.issuers SET seq = seq + 1", "UPDATE {s}.issuers SET seq = seq - 1", "UPDATE {s}.issuers SET clock = decode('800000000000000000000000', 'hex')",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			execute("DROP SCHEMA IF EXISTS {s}_kept CASCADE")
			execute("CREATE SCHEMA {s}_kept")
			tables := []string{"issuers", "records_rest", "carriers_rest", "heads", "marks", "revocations"}
			for _, table := range tables {
				execute("CREATE TABLE {s}_kept." + table + " AS TABLE {s}." + table)
			}
			defer func() {
				for _, table := range tables {
					execute("DELETE FROM {s}." + table)
					more := ""
					if table == "issuers" {
						more = " OVERRIDING SYSTEM VALUE"
					}
					execute("INSERT INTO {s}." + table + more + " SELECT * FROM {s}_kept." + table)
				}
				execute("DROP SCHEMA {s}_kept CASCADE")
			}()
			require.Positive(t, execute(sql), sql)
			findings, _, stderr, code := w.verified()
			require.Equal(t, 1, code, "%s: %v %s", sql, findings, stderr)
			require.True(t, len(findings) > 0 || stderr != "", sql)
			require.Contains(t, fmt.Sprint(findings), says[sql])
		})
	}
	clean(t, w)
}

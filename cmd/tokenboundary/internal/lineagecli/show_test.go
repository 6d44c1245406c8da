package lineagecli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func bearer(token string) tb.Credential { return tb.Credential{Type: tb.TypeAccessToken, Value: token} }

func onlyClock() *clock.Mock {
	clk := clock.NewMock()
	clk.Set(noon)
	return clk
}

// chained is a world with a task, its token, one derived from it, one from that, and a stranger.
func chained(t *testing.T) (w *world, tokens []tb.Token) {
	t.Helper()
	w = onBolt(t, 1)
	budget := uint64(9)
	req := w.request("orchestrator", w.human("alice"), "read", "write", "admin")
	req.Task = &tb.TaskSpec{Purpose: "triage", ExpiresIn: 30 * time.Minute, MaxDerivations: &budget}
	for i, client := range []string{"orchestrator", "researcher", "tool"} {
		if i > 0 {
			req = w.request(client, bearer(tokens[i-1].Value()), "read")
		}
		tok, err := w.Issue(t.Context(), req)
		require.NoError(t, err)
		tokens = append(tokens, tok)
		w.clock.Add(time.Second)
	}
	_, ok := w.issue(w.request("tool", w.human("bob"), "read"))
	require.True(t, ok)
	w.close()
	return w, tokens
}

func TestTracePrintsTheChain(t *testing.T) {
	w, tokens := chained(t)
	last := tokens[2]
	byID, stderr, code := w.run("trace", "--config", w.config, last.ID.String())
	require.Zero(t, code, stderr)
	byToken, stderr, code := w.run("trace", "--config", w.config, last.Value())
	require.Zero(t, code, stderr)
	require.Equal(t, byID, byToken)
	require.NotContains(t, byToken, last.Value()[len(last.Value())-20:])
	require.Equal(t, 0, strings.Index(byID, "task "), byID)
	for _, want := range []string{
		"purpose triage", "admin @ " + crm + "  dropped: nobody may", "read @ " + crm + "  allowed by /agents/tool#all",
		"alice ← tool ← researcher", last.ID.String() + "  token", tokens[0].TaskID.String() + "  task", "each verifies against those above it",
	} {
		require.Contains(t, byID, want)
	}
	require.NotContains(t, byID, "bob")

	out, _, code := w.run("trace", "--json", "--config", w.config, last.ID.String())
	require.Zero(t, code)
	var got struct {
		Records []struct {
			ID      lineage.ID
			Raw     string
			RawBody string `json:"raw_body"`
			State   lineage.State
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Len(t, got.Records, 4)
	require.Equal(t, tokens[0].TaskID, got.Records[0].ID)
	require.Equal(t, lineage.Active, got.Records[3].State)
	w.clock.Add(time.Hour)
	out, _, code = w.run("trace", "--config", w.config, last.ID.String())
	require.Zero(t, code)
	require.Contains(t, out, "expired")
}

func TestTreePrintsWhatCameFromARecord(t *testing.T) {
	w, tokens := chained(t)
	out, stderr, code := w.run("tree", "--config", w.config, tokens[0].TaskID.String())
	require.Zero(t, code, stderr)
	for _, tok := range tokens {
		require.Contains(t, out, tok.ID.String())
	}
	require.NotContains(t, out, "bob")
	below, _, code := w.run("tree", "--config", w.config, tokens[1].ID.String())
	require.Zero(t, code)
	require.NotContains(t, below, tokens[0].ID.String())
	require.Contains(t, below, tokens[2].ID.String())
	few, _, code := w.run("tree", "--max", "2", "--config", w.config, tokens[0].TaskID.String())
	require.Zero(t, code)
	require.Contains(t, few, "there is more: --max 2")
	require.NotContains(t, few, tokens[2].ID.String())
}

func TestInventoryCountsWhatIsAlive(t *testing.T) {
	w, tokens := chained(t)
	list := func(args ...string) (live []counted) {
		out, stderr, code := w.run(append([]string{"inventory", "--json", "--config", w.config}, args...)...)
		require.Zero(t, code, stderr)
		var got struct{ Live []counted }
		require.NoError(t, json.Unmarshal([]byte(out), &got))
		return got.Live
	}
	all := list()
	require.Len(t, all, 4)
	require.Equal(t, uint64(2), all[0].Count)
	require.Equal(t, group{lineage.KindToken, lineage.Active, "tool", "prod", "/agents/tool"}, all[0].group)
	require.True(t, all[0].Oldest.Before(all[0].Newest))
	require.Len(t, list("--selector", "client:orchestrator"), 4, "its task, its token, and what came from them")
	require.Equal(t, uint64(1), list("--selector", "subject:bob")[0].Count)
	require.Empty(t, list("--selector", "client:nobody"))
	out, _, code := w.run("inventory", "--config", w.config, "--selector", "token:"+tokens[2].ID.String())
	require.Zero(t, code)
	require.Contains(t, out, "1  token active  tool via prod  /agents/tool")
	require.Contains(t, out, "1 alive\n")
	w.clock.Add(10 * time.Minute)
	require.Len(t, list(), 1, "the task")
	w.clock.Add(time.Hour)
	require.Empty(t, list())
}

func TestWhatCannotBeNamed(t *testing.T) {
	w, tokens := chained(t)
	token := tokens[2].Value()
	cut := token[:len(token)/2]
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"trace", "--config", w.config}, 2, "0 arguments instead of 1"},
		{[]string{"trace", "--config", w.config, token, token}, 2, "2 arguments instead of 1"},
		{[]string{"trace", "--config", w.config, cut}, 2, "neither the id of a record nor a token"},
		{[]string{"trace", "--config", w.config, "eyJ.eyJ.x" + cut}, 2, "neither the id of a record nor a token"},
		{[]string{"trace", "--config", w.config, strings.Repeat("A", 43)}, 2, "neither the id of a record nor a token"},
		{[]string{"trace", "--config", w.config, lineage.IDOf(nil).String()}, 1, "no record of " + issuer + " has the id " + lineage.IDOf(nil).String()},
		{[]string{"trace", tokens[0].ID.String()}, 2, "--config is required, or --store and --issuer"},
		{[]string{"trace", "--store", "x", tokens[0].ID.String()}, 2, "--config is required, or --store and --issuer"},
		{[]string{"verify", "--config", w.config, "--issuer", issuer}, 2, "--issuer is what --config says: give one of them"},
		{[]string{"verify", "--config", w.config, "x"}, 2, "1 arguments instead of 0"},
		{[]string{"verify", "--what"}, 2, "flag provided but not defined: -what"},
		{[]string{"verify", "--config", w.dir + "/none"}, 1, "no such file or directory"},
		{[]string{"inventory", "--config", w.config, "--selector", "colour:red"}, 2, "not a selector"},
		{[]string{"look"}, 2, "unknown command \"look\""},
		{nil, 2, "a command is required"},
	} {
		stdout, stderr, code := w.run(c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.want)
		require.Empty(t, stdout)
		require.NotContains(t, stderr, cut[len(cut)/2:])
	}
	_, stderr, code := w.run("verify", "-h")
	require.Zero(t, code)
	require.Contains(t, stderr, "Usage: tokenboundary lineage verify [FLAGS]")
	memory := configure(t, t.TempDir(), "{memory: {}}", "")
	_, stderr, code = w.run("verify", "--config", memory)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "a store in memory is gone with its server")
}

// TestAnIDMayBeginLikeAFlag: one in 64 does.
func TestAnIDMayBeginLikeAFlag(t *testing.T) {
	w, _ := chained(t)
	id := lineage.ID{0xf8}.String()
	require.Equal(t, "-", id[:1])
	for _, verb := range []string{"trace", "tree"} {
		_, stderr, code := w.run(verb, "--config", w.config, id)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "has the id "+id)
	}
}

package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

func TestTheWholeStory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Regexp(t, `\nquickstart: 41 steps, all as expected\n$`, out.String())
	require.Len(t, regexp.MustCompile(`(?m)^   ✓ `).FindAllString(out.String(), -1), 41)
	require.NotContains(t, out.String(), "eyJ", "no token is printed")
	require.Empty(t, leftovers(t), "nothing is left behind")
}

func TestAStoryThatIsCutShortFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.ErrorIs(t, run(ctx, &out), context.Canceled)
	require.NotContains(t, out.String(), "as expected")
	require.Empty(t, leftovers(t))
}

func leftovers(t *testing.T) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	return entries
}

// The story is told by these checks, so each must be able to say no.
func TestChecksTellDifferences(t *testing.T) {
	var out bytes.Buffer
	h, err := newHost()
	require.NoError(t, err)
	defer func() { require.NoError(t, h.close()) }()
	s := &story{narrator: narrator{out: &out}}
	require.NoError(t, s.stage(t.Context(), h))
	require.NoError(t, s.logIn(t.Context()))
	require.NoError(t, s.start(t.Context()))
	told := out.String()

	right := content{"alice", "spiffe://acme.example/agents/orchestrator", s.issuer(), "", 10 * time.Minute}
	for name, change := range map[string]func(*content){
		"subject": func(c *content) { c.subject = "bob" }, "actors": func(c *content) { c.actors = "" },
		"audience": func(c *content) { c.audience = crm }, "scopes": func(c *content) { c.scopes = "cases:read" },
		"life": func(c *content) { c.life++ },
	} {
		wrong := right
		change(&wrong)
		require.Error(t, s.holds("token", s.triage, wrong), name)
	}
	require.Error(t, s.answers(t.Context(), "api", s.crm, "GET /cases", s.triage.Value(), http.StatusOK, ""))
	require.Error(t, refusedAs("granted", nil, 400, tokenboundary.CodeInvalidScope))
	refused := &exchange.Error{Code: "invalid_scope", Status: 400}
	require.Error(t, refusedAs("code", refused, 400, tokenboundary.CodeInvalidTarget))
	require.Error(t, refusedAs("status", refused, 401, tokenboundary.CodeInvalidScope))
	require.NoError(t, refusedAs("as expected", refused, 400, tokenboundary.CodeInvalidScope))
	require.Equal(t, told, out.String(), "what differs is not told as a step")
}

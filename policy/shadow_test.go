package policy

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const shadowLive = `bind: {client: bot, connection: crm, resource: https://crm.example/}
allow:
  - {rule: reads, when: "true", scopes: [read, list], lifetime: 10m}
  - {rule: writes, when: task.present && task.purpose == "triage", scopes: [write], lifetime: 10m}
deny:
  - {rule: risky, when: risk.level == "high"}
`

// replaced is shadowLive with another text in one place.
func replaced(t *testing.T, from, to string) string {
	t.Helper()
	require.Contains(t, shadowLive, from)
	return strings.Replace(shadowLive, from, to, 1)
}

func shadowFacts(scopes ...string) tokenboundary.Facts {
	return tokenboundary.Facts{
		Grant: tokenboundary.ClientCredentials, Client: tokenboundary.ClientFacts{ID: "bot", Kind: "agent"}, Connection: "crm",
		Resources: []string{"https://crm.example/"}, Scopes: scopes, Subject: lineage.Party{ID: "bot"}, Actor: lineage.Party{ID: "bot"},
		Task: &tokenboundary.TaskFacts{Purpose: "triage", Deadline: noon.Add(time.Hour)}, Risk: "low", Now: noon,
	}
}

func TestShadowSaysWhatWouldBeDecidedOtherwise(t *testing.T) {
	const res = "https://crm.example/"
	live := load(t, map[string]string{"crm.yaml": shadowLive})
	for name, c := range map[string]struct {
		old, new string
		scopes   []string
		want     *lineage.Shadow // without the version
	}{
		"the same":                        {"", "", []string{"read", "write"}, nil},
		"another text that decides alike": {`"true"`, `grant == "client_credentials"`, []string{"read"}, nil},
		"a scope lost": {"[read, list]", "[read]", []string{"read", "list"},
			&lineage.Shadow{Lost: []lineage.Reason{{Resource: res, Scope: "list", Why: "no rule grants it"}}}},
		"a scope that is not asked for": {"[read, list]", "[read]", []string{"read"}, nil},
		"a scope gained": {"[read, list]", "[read, list, delete]", []string{"read", "delete"},
			&lineage.Shadow{Gained: []lineage.Reason{{Resource: res, Scope: "delete", Granted: true, Rule: "/crm#reads"}}}},
		"denied": {`when: risk.level == "high"`, `when: 'risk.level in ["low", "high"]'`, []string{"read"},
			&lineage.Shadow{Lost: []lineage.Reason{{Resource: res, Scope: "read", Rule: "/crm#risky", Why: "denied"}}}},
		"held back": {"scopes: [write], ", "scopes: [write], require: {approval: {by: leads}}, ", []string{"read", "write"},
			&lineage.Shadow{Lost: []lineage.Reason{{Resource: res, Scope: "write", Rule: "/crm#writes", Why: "requires approval"}}}},
		"for a shorter time": {"[read, list], lifetime: 10m", "[read, list], lifetime: 1m", []string{"read"}, &lineage.Shadow{Lifetime: time.Minute}},
		"not bound": {"client: bot", "client: other", []string{"read"},
			&lineage.Shadow{Lost: []lineage.Reason{{Resource: res, Scope: "read", Why: "no policy path"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			trial := load(t, map[string]string{"crm.yaml": replaced(t, c.old, c.new)})
			s := Shadow(live, trial, ShadowOptions{})
			facts := shadowFacts(c.scopes...)
			want, err := live.Evaluate(t.Context(), facts)
			require.NoError(t, err)
			got, err := s.Evaluate(t.Context(), facts)
			require.NoError(t, err)
			if c.want != nil {
				c.want.Policy = trial.Version()
			}
			require.Equal(t, c.want, got.Shadow)
			got.Shadow = nil
			require.Equal(t, want, got, "the answer is that of the policy in force")
			require.Equal(t, live.Version(), s.Version())
			differed := uint64(0)
			if c.want != nil {
				differed = 1
			}
			require.Equal(t, Trial{Version: trial.Version(), Asked: 1, Differed: differed}, s.Trial())
		})
	}
}

// odd is a policy on trial that does something else than decide.
type odd func(context.Context) (tokenboundary.Verdict, error)

func (odd) Version() string { return "odd" }

func (b odd) Evaluate(ctx context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
	return b(ctx)
}

func TestATrialChangesNoAnswer(t *testing.T) {
	live := load(t, map[string]string{"crm.yaml": shadowLive})
	facts := shadowFacts("read")
	want, err := live.Evaluate(t.Context(), facts)
	require.NoError(t, err)
	require.Equal(t, tokenboundary.Allow, want.Effect)
	for name, c := range map[string]struct {
		trial odd
		why   string
	}{
		"an error": {func(context.Context) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{}, errors.New("no idea")
		}, "no idea"},
		"a panic": {func(context.Context) (tokenboundary.Verdict, error) { panic("out of order") }, "out of order"},
		"no end": {func(ctx context.Context) (tokenboundary.Verdict, error) {
			<-ctx.Done()
			return tokenboundary.Verdict{}, ctx.Err()
		}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			told := 0
			s := Shadow(live, c.trial, ShadowOptions{Limit: time.Millisecond, OnDifference: func(_ tokenboundary.Facts, v tokenboundary.Verdict, d *lineage.Shadow, err error) {
				told++
				require.Nil(t, d)
				require.ErrorContains(t, err, c.why)
				require.Equal(t, want, v)
				panic("nor does this")
			}})
			got, err := s.Evaluate(t.Context(), facts)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, Trial{Version: "odd", Asked: 1, Failed: 1}, s.Trial())
			require.Equal(t, 1, told)
		})
	}
}

func TestATrialIsNotAskedWhereNothingWasDecided(t *testing.T) {
	live := load(t, map[string]string{"crm.yaml": shadowLive})
	s := Shadow(live, odd(func(context.Context) (tokenboundary.Verdict, error) {
		t.Error("asked")
		return tokenboundary.Verdict{}, nil
	}), ShadowOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Evaluate(ctx, shadowFacts("read"))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, Trial{Version: "odd"}, s.Trial())
}

// A recorded difference is bounded, whatever was asked for, and all callers may be served at once.
func TestShadowIsBoundedAndConcurrent(t *testing.T) {
	live := load(t, map[string]string{"crm.yaml": shadowLive})
	var scopes []string
	grown := map[string]string{}
	list := ""
	for i := range 100 {
		s := "s" + string(rune('a'+i/10)) + string(rune('a'+i%10))
		scopes = append(scopes, s)
		list += ", " + s
	}
	grown["crm.yaml"] = replaced(t, "[read, list]", "[read, list"+list+"]")
	s := Shadow(live, load(t, grown), ShadowOptions{Limit: time.Minute})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			v, err := s.Evaluate(t.Context(), shadowFacts(append([]string{"read"}, scopes...)...))
			if err != nil || v.Shadow == nil || len(v.Shadow.Gained) != maxShown {
				t.Errorf("%v %v", v.Shadow, err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, uint64(8), s.Trial().Differed)
}
